"""Two executions of one supernet: all operations at once, and single ones edge by edge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from optuna_nas.networks import build_network, count_parameters
from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    DARTSSpace,
    EdgeNESSpace,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.supernets import Supernet, Weights, build_supernet
from tests.supernets.plain_supernet import evenly

SPACES: list[tuple[SearchSpace, int, int]] = [  # and the channels and cells of a supernet
    (DARTSSpace(), 4, 3),
    (DARTSSpace(["none", "skip_connect", "sep_conv_5x5", "max_pool_3x3"]), 3, 4),
    (EdgeNESSpace(), 4, 1),
    (EdgeNESSpace(["skip_connect", "dil_conv_3x3", "none"], 2), 3, 3),
    (NASBench201Space(), 4, 1),
    (CellSpace(3, ["skip_connect", "dil_conv_5x5", "conv_7x1_1x7"]), 4, 1),
]
every_space = pytest.mark.parametrize(
    ("space", "channels", "cells"), SPACES, ids=lambda v: str(v)[:20]
)


def make(space: SearchSpace, channels: int, cells: int) -> Supernet:
    generator = torch.Generator().manual_seed(0)
    sizes = {"num_classes": 5, "channels": channels, "cells": cells}
    return build_supernet(space, **sizes, generator=generator)


def images(size: tuple[int, int] = (8, 8), dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(6, 3, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)


LABELS = torch.arange(6) % 5


def step(supernet: Supernet, weights: Weights, x: torch.Tensor) -> list[torch.Tensor]:
    """Logits, gradients of what has one, statistics, and logits of evaluation mode."""
    supernet.zero_grad()
    logits = supernet.train()(x, weights)
    F.cross_entropy(logits, LABELS).backward()  # type: ignore[no-untyped-call]
    grads = [w.grad for w in weights.values()] + [p.grad for p in supernet.parameters()]
    with torch.no_grad():
        final = supernet.eval()(x, weights)
    statistics = [b.clone() for b in supernet.buffers()]
    return [logits.detach(), *(g.clone() for g in grads if g is not None), *statistics, final]


@every_space
@pytest.mark.parametrize("size", [(8, 8), (9, 6)])
def test_both_executions_are_equal(
    space: SearchSpace, channels: int, cells: int, size: tuple[int, int]
) -> None:
    """Where every operation has a weight."""
    found = []
    for plain in (False, True):
        supernet = make(space, channels, cells).double()
        supernet.plain = plain
        found.append(step(supernet, evenly(supernet, dtype=torch.float64), images(size)))
    assert len(found[0]) == len(found[1])
    for fused, plain_one in zip(*found, strict=True):
        torch.testing.assert_close(fused.double(), plain_one.double(), rtol=1e-7, atol=1e-9)


def architectures(space: SearchSpace, supernet: Supernet, count: int) -> list[Architecture]:
    """Random ones that the supernet could derive."""
    rng = np.random.default_rng(0)
    found: list[Architecture] = []
    while len(found) < count:
        architecture = space.random(rng)
        if not supernet.never_derived & set(architecture.params.values()):
            found.append(architecture)
    return found


@every_space
def test_one_hot_weights_touch_the_chosen_operations_only(
    space: SearchSpace, channels: int, cells: int
) -> None:
    """No gradient, no decay, no momentum, no statistics of any other; and the fused values."""
    supernet = make(space, channels, cells).double()
    optimizer = torch.optim.SGD(supernet.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    first, second = architectures(space, supernet, 2)
    for architecture in (first, second):
        weights = {k: w.double() for k, w in supernet.encode(architecture).items()}
        before = {name: t.clone() for name, t in supernet.state_dict().items()}
        optimizer.zero_grad()
        logits = supernet.train()(images(), weights)
        F.cross_entropy(logits, LABELS).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        reached = sum(p.numel() for p in supernet.parameters() if p.grad is not None)
        network = build_network(architecture, num_classes=5, channels=channels, cells=cells)
        assert reached <= count_parameters(network)
        untouched = [n for n, p in supernet.named_parameters() if p.grad is None]
        assert untouched
        after = supernet.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in untouched)
        supernet.load_state_dict(before)
        supernet.plain = False
        torch.testing.assert_close(supernet(images(), weights), logits, rtol=1e-7, atol=1e-9)
        supernet.plain = None


def test_statistics_of_operations_that_are_not_chosen_stay() -> None:
    supernet = make(NASBench201Space(), 4, 1)
    column = supernet.operations.index("nor_conv_1x1")
    weights = torch.zeros(6, 5)
    weights[:, column] = 1.0
    before = {name: b.clone() for name, b in supernet.named_buffers()}
    supernet(images(dtype=torch.float32), {"cell": weights})
    moved = {n for n, b in supernet.named_buffers() if not torch.equal(b, before[n])}
    norms = {n for n in before if "stacked.0" in n and "num_batches" not in n}
    assert norms <= moved
    assert not any("stacked.1" in name for name in moved)


@every_space
def test_an_architecture_is_the_network_that_is_built_of_it(
    space: SearchSpace, channels: int, cells: int
) -> None:
    """As many operations run, each on its own edge: counted by their convolutions."""
    supernet = make(space, channels, cells)
    [architecture] = architectures(space, supernet, 1)
    network = build_network(architecture, num_classes=5, channels=channels, cells=cells)

    def convolutions(call: Callable[[], object]) -> int:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            call()
        return sum(e.count for e in profile.key_averages() if e.key == "aten::conv2d")

    x = images(dtype=torch.float32)
    weights = supernet.encode(architecture)
    ours = convolutions(lambda: supernet(x, weights))
    assert 0 < ours == convolutions(lambda: network(x))


@every_space
def test_derive_undoes_encode(space: SearchSpace, channels: int, cells: int) -> None:
    supernet = make(space, channels, cells)
    for architecture in architectures(space, supernet, 5):
        again = supernet.derive(supernet.encode(architecture))
        for ours, theirs in zip(
            supernet.encode(again).values(), supernet.encode(architecture).values(), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_foreign_architectures_are_refused() -> None:
    supernet = make(EdgeNESSpace(num_nodes=2), 2, 1)
    [architecture] = architectures(EdgeNESSpace(), supernet, 1)
    with pytest.raises(ValueError, match=r"^`architecture` is .* is none of the supernet"):
        supernet.encode(architecture)


def test_what_is_computed_can_be_told() -> None:
    """Two paths on an edge, of which one has the weight zero: it gets a gradient all the same."""
    supernet = make(NASBench201Space(), 4, 1)
    weights = torch.zeros(6, 5)
    weights[:, 2] = 1.0
    weights.requires_grad_()
    computed = torch.zeros(6, 5, dtype=torch.bool)
    computed[:, 2] = computed[:, 3] = True
    x = images(dtype=torch.float32)
    supernet(x, {"cell": weights}, {"cell": computed}).square().sum().backward()
    assert weights.grad is not None
    assert bool((weights.grad[computed] != 0).all())
    assert not bool(weights.grad[~computed].any())


def test_nothing_at_all() -> None:
    """An architecture without a way through has the same logits for all images."""
    for space, channels, cells in SPACES:
        supernet = make(space, channels, cells)
        nothing = {
            kind: torch.zeros(len(edges), len(supernet.operations))
            for kind, edges in supernet.edges.items()
        }
        logits = supernet(images(dtype=torch.float32), nothing)
        torch.testing.assert_close(logits, logits[:1].expand_as(logits))


@every_space
@pytest.mark.parametrize("plain", [False, True])
def test_autocast(space: SearchSpace, channels: int, cells: int, plain: bool) -> None:
    """A step in bfloat16 is finite, and near one in single precision."""
    supernet = make(space, channels, cells)
    supernet.plain = plain
    weights = evenly(supernet)
    x = images(dtype=torch.float32)
    expected = supernet(x, weights).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = supernet(x, weights)
        loss = F.cross_entropy(logits, LABELS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float((logits.detach() - expected).abs().max()) < 0.2 * float(expected.std()) + 0.2
    for parameter in supernet.parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())


@pytest.mark.slow
def test_a_sampled_step_takes_little_more_than_the_network() -> None:
    """In operations of torch, which does not depend on what else the machine does."""
    space = NASBench201Space()
    supernet = make(space, 8, 1)
    [architecture] = architectures(space, supernet, 1)
    network = build_network(architecture, num_classes=5, channels=8, cells=1)
    weights = supernet.encode(architecture)
    x = images((16, 16), torch.float32)

    def calls(forward: Callable[[], torch.Tensor]) -> int:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            F.cross_entropy(forward(), LABELS).backward()  # type: ignore[no-untyped-call]
        return sum(event.count for event in profile.key_averages())

    ours = calls(lambda: supernet(x, weights))
    theirs = calls(lambda: network(x))
    assert ours < 1.3 * theirs
