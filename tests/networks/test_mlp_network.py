"""Perceptrons: counts in closed form, skips, and dropout from a generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from optuna_nas.networks import MLPNetwork, build_network, count_macs, count_parameters
from optuna_nas.networks.mlp import SeededDropout
from optuna_nas.spaces import MLPSpace, NASBench201Space

SPACE = MLPSpace()


def build(text: str, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    return build_network(SPACE.parse(text), num_classes=3, in_channels=10, generator=generator)


@pytest.mark.parametrize(
    ("text", "parameters", "macs"),
    [
        ("64 relu none 0", 11 * 64 + 65 * 3, 10 * 64 + 64 * 3),
        # Batch norm has a bias of its own, and two numbers for a neuron.
        ("64 relu batch 0", 10 * 64 + 128 + 65 * 3, 10 * 64 + 64 * 3),
        ("64 tanh layer 0", 11 * 64 + 128 + 65 * 3, 10 * 64 + 64 * 3),
        ("64-32 gelu none 0", 11 * 64 + 65 * 32 + 33 * 3, 640 + 64 * 32 + 32 * 3),
        ("64-32 silu none 0 skip", 11 * 64 + 129 * 32 + 33 * 3, 640 + 2 * 64 * 32 + 32 * 3),
        ("64-64 silu none 0 skip", 11 * 64 + 65 * 64 + 65 * 3, 640 + 64 * 64 + 64 * 3),
    ],
)
def test_counts(text: str, parameters: int, macs: int) -> None:
    network = build(text)
    assert count_parameters(network) == parameters
    assert count_macs(network, (10,)) == macs
    assert network(torch.randn(5, 10)).shape == (5, 3)


def test_a_skip_adds_the_input_of_its_layer() -> None:
    network = build("16-16 relu none 0 skip")
    assert isinstance(network, MLPNetwork)
    linear = network.get_submodule("hidden.1.body.0")
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    rows = torch.randn(7, 10)
    torch.testing.assert_close(network(rows), network.head(network.hidden[0](rows)))


def test_a_perceptron_without_hidden_layers_is_linear() -> None:
    network = MLPNetwork(4, 2, [])
    rows = torch.randn(5, 4)
    torch.testing.assert_close(network(rows), network.head(rows))


def test_dropout_comes_from_its_generator_and_keeps_the_mean() -> None:
    ones = torch.ones(400, 100)
    first, again = (SeededDropout(0.25, torch.Generator().manual_seed(3))(ones) for _ in range(2))
    assert torch.equal(first, again)
    assert set(first.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    assert float(first.mean()) == pytest.approx(1, abs=0.02)
    before = torch.get_rng_state()
    network = build("64 relu batch 0.5").train()
    network(torch.randn(5, 10, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)
    network.eval()
    rows = torch.ones(5, 10)
    assert torch.equal(network(rows), network(rows))


def test_initial_weights_follow_the_generator() -> None:
    first, again, other = (
        build("64-32 relu none 0"),
        build("64-32 relu none 0"),
        build("64 relu none 0", 1),
    )
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)
    )
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize("name", ["channels", "cells"])
def test_it_has_no_width_or_depth_beside_its_own(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is 8, but an architecture of MLPSpace says"):
        build_network(SPACE.parse("64 relu none 0"), num_classes=3, **{name: 8})  # type: ignore[arg-type]
    architecture = NASBench201Space().parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert build_network(architecture, num_classes=3, **{name: 1})  # type: ignore[arg-type]
