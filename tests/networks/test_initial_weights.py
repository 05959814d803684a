from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from optuna_nas.networks import build_network, operations, register_operation
from optuna_nas.networks.initial_weights import DrawnFrom, weights_from
from optuna_nas.spaces import CellSpace
from optuna_nas.supernets import build_supernet


@pytest.fixture
def untouched() -> Iterator[None]:
    """Torch's default generator is afterwards as it was before."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_build_what_one_builds_alone(
    untouched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)
    alone = True

    monkeypatch.setattr(operations, "_FACTORIES", dict(operations._FACTORIES))

    @register_operation("waiting_conv")
    def waiting_conv(channels_in: int, channels_out: int, stride: int) -> nn.Module:
        if not alone:
            together.wait(timeout=60)  # both threads are in the midst of their networks
        return nn.Conv2d(channels_in, channels_out, 1, stride)

    space = CellSpace(3, ["none", "waiting_conv"])
    cell = space.architecture(dict.fromkeys(space.distributions, "waiting_conv"))

    def weights(seed: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        network = build_network(cell, num_classes=3, channels=4, cells=1, generator=generator)
        supernet = build_supernet(space, num_classes=3, channels=4, cells=1, generator=generator)
        return [*network.parameters(), *supernet.parameters()]

    expected = [weights(seed) for seed in range(2)]
    alone = False
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(weights, range(2)))
    for seed in range(2):
        assert all(map(torch.equal, found[seed], expected[seed]))


def test_weights_are_those_of_a_seeded_default_generator() -> None:
    """As modules initialise themselves, and as networks of earlier versions were."""
    generator = torch.Generator().manual_seed(5)
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(5)))
    with weights_from(generator):
        found = nn.Conv2d(3, 4, 3), nn.Linear(3, 4), nn.LSTM(3, 3), nn.Embedding(3, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = nn.Conv2d(3, 4, 3), nn.Linear(3, 4), nn.LSTM(3, 3), nn.Embedding(3, 3)
    for ours, theirs in zip(found, expected, strict=True):
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_whatever_draws(untouched: None) -> None:
    ones = torch.ones(8)

    def draw() -> list[torch.Tensor]:
        with DrawnFrom(torch.Generator().manual_seed(0)):
            return [
                nn.init.orthogonal_(torch.empty(3, 3)),
                nn.init.trunc_normal_(torch.empty(8)),
                nn.init.sparse_(torch.empty(8, 8), 0.1),
                torch.rand(8),
                torch.randn(8),
                torch.randperm(8),
                torch.randint(4, (8,)),
                torch.randint(1, 4, (8,)),
                torch.rand_like(ones),
                torch.randn_like(ones),
                torch.normal(ones, ones),
                torch.normal(0.0, 1.0, (8,)),
                torch.bernoulli(ones / 2),
                torch.multinomial(ones, 2),
                torch.empty(8).exponential_(),
                nn.functional.dropout(ones, 0.5),
            ]

    first = draw()
    torch.rand(3, generator=torch.Generator())
    assert all(map(torch.equal, first, draw()))


def test_a_generator_that_is_named_is_used(untouched: None) -> None:
    own = torch.Generator().manual_seed(1)
    with DrawnFrom(torch.Generator().manual_seed(0)):
        found = torch.rand(3, generator=own)
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(1)))


def test_other_threads_are_left_alone() -> None:
    with torch.random.fork_rng(devices=[]), ThreadPoolExecutor(1) as pool:
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        with DrawnFrom(torch.Generator().manual_seed(9)):
            assert torch.equal(pool.submit(torch.rand, 3).result(), expected)
