"""The supernets: sizes, and agreement with the plain edge-by-edge formulation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from optuna.distributions import IntDistribution
from torch import nn

from optuna_nas.networks import count_parameters, register_operation
from optuna_nas.spaces import (
    CellSpace,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.supernets import (
    Supernet,
    build_supernet,
    frozen_statistics,
    register_supernet,
)
from optuna_nas.supernets.darts_supernet import DARTSSupernet
from optuna_nas.supernets.supernet import _SUPERNETS
from tests.supernets.plain_supernet import evenly, parameter_pairs, plain_copy

DARTS, NB201 = DARTSSpace(), NASBench201Space()


@pytest.mark.parametrize(
    ("channels", "cells", "classes", "expected"),
    [
        (16, 8, 10, 1_930_618),
        (16, 8, 100, 1_953_748),
        (16, 5, 10, 1_275_834),
        (8, 3, 10, 209_442),
        (4, 3, 10, 72_854),
    ],
)
def test_published_parameter_counts(
    channels: int, cells: int, classes: int, expected: int
) -> None:
    with torch.device("meta"):
        supernet = build_supernet(DARTS, num_classes=classes, channels=channels, cells=cells)
    assert count_parameters(supernet) == expected


def test_published_sizes_are_the_default() -> None:
    with torch.device("meta"):
        assert count_parameters(build_supernet(DARTS, num_classes=10)) == 1_930_618
        supernet = build_supernet(NB201, num_classes=10)
    # Of 15 cells, six edges each with a 1x1 and a 3x3 convolution, and the skeleton.
    edges = 6 * 5 * (9 + 1) * (16**2 + 32**2 + 64**2)
    stem, norm, classifier = 27 * 16 + 32, 128, 64 * 10 + 10
    reductions = sum(9 * c * (c + c // 2) + 4 * c + c * c // 2 for c in (32, 64))
    assert count_parameters(supernet) == edges + stem + norm + classifier + reductions


@pytest.mark.parametrize(
    ("space", "channels", "cells", "size"),
    [
        (DARTS, 4, 3, (8, 8)),
        (DARTS, 5, 3, (9, 12)),  # odd sides: dilated convolutions without phases
        (DARTS, 18, 3, (6, 4)),  # too wide for the block-diagonal products
        (DARTSSpace(["skip_connect", "sep_conv_5x5", "max_pool_3x3"]), 4, 4, (16, 8)),
        (DARTSSpace(["none", "skip_connect"]), 3, 3, (8, 8)),
        (EdgeNESSpace(), 4, 1, (8, 8)),
        (EdgeNESSpace(["skip_connect", "dil_conv_3x3", "none"], 2), 3, 3, (8, 6)),
        (NB201, 4, 2, (8, 9)),
        (CellSpace(3, ["skip_connect", "dil_conv_5x5", "sep_conv_7x7"]), 4, 1, (9, 8)),
    ],
)
def test_equal_to_the_plain_supernet_in_double(
    space: SearchSpace, channels: int, cells: int, size: tuple[int, int]
) -> None:
    fast = build_supernet(space, num_classes=5, channels=channels, cells=cells).double()
    compare(fast, plain_copy(fast, channels=channels), size, tolerance=1e-9)


def test_equal_to_the_plain_supernet_in_single() -> None:
    """In single precision, rounding flips the sign of a ReLU's input now and then.

    A gradient then jumps, in the plain network as in the batched one (each by itself, measured
    against double precision), so two of three networks have to agree.
    """
    close = 0
    for seed in range(3):
        torch.manual_seed(seed)
        fast = build_supernet(DARTS, num_classes=5, channels=4, cells=3)
        plain = plain_copy(fast, channels=4)
        try:
            compare(fast, plain, (8, 8), tolerance=1e-4, seed=seed)
            close += 1
        except AssertionError:
            compare(fast, plain, (8, 8), tolerance=0.05, seed=seed)
    assert close >= 2


def compare(
    fast: Supernet, plain: Supernet, size: tuple[int, int], *, tolerance: float, seed: int = 0
) -> None:
    """Compare outputs, gradients, running statistics and what evaluation mode gives."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(fast.parameters()).dtype
    images = torch.randn(6, 3, *size, generator=generator, dtype=dtype)
    labels = torch.arange(6) % 5
    weights = evenly(fast, seed, dtype)
    alphas = list(weights.values())
    outputs = []
    for network in (fast.train(), plain.train()):
        network.zero_grad()
        logits = network(images, weights)
        loss = F.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, alphas, retain_graph=True)
        loss.backward()  # type: ignore[no-untyped-call]
        network.eval()
        with torch.no_grad():
            outputs.append([logits.detach(), *gradients, network(images, weights)])
    for ours, theirs in zip(*outputs, strict=True):
        assert_close(ours, theirs, tolerance)
    count = 0
    for parameter, read in parameter_pairs(plain, fast):
        gradient = parameter.grad
        assert gradient is not None
        assert_close(read(grad), gradient, tolerance)
        count += 1
    assert count == len(list(plain.parameters()))


def grad(parameter: torch.Tensor) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    assert ours.shape == theirs.shape
    scale = float(theirs.abs().max())
    assert float((ours - theirs).abs().max()) <= tolerance * max(scale, 1e-12)


def test_the_architecture_gradient_needs_none_of_the_weights() -> None:
    fast = build_supernet(DARTS, num_classes=5, channels=4, cells=3).double()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    weights = evenly(fast, dtype=torch.float64)
    alphas = list(weights.values())
    expected = torch.autograd.grad(fast(images, weights).square().sum(), alphas)
    fast.requires_grad_(False)
    found = torch.autograd.grad(fast(images, weights).square().sum(), alphas)
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs, 1e-12)


def test_an_operation_of_weight_zero_gets_no_gradient() -> None:
    supernet = build_supernet(NB201, num_classes=3, channels=4, cells=1)
    column = supernet.operations.index("nor_conv_3x3")
    weights = torch.full((6, 5), 0.25)
    weights[:, column] = 0.0
    supernet(torch.randn(2, 3, 8, 8), {"cell": weights}).sum().backward()
    cell = supernet.get_submodule("stages.0")
    for weight in cell.parameters():
        assert bool((grad(weight) == 0).all()) == (weight.shape[-1] == 3)


def test_one_hot_weights_are_the_discrete_cell() -> None:
    """With one operation on each edge, the cell computes what a cell network's cell does."""
    from optuna_nas.networks.cell_network import Cell

    supernet = build_supernet(NB201, num_classes=3, channels=4, cells=1).double()
    mixed = supernet.get_submodule("stages.0")
    architecture = NB201.parse(
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
    )
    names = {edge: NB201.operation(architecture, edge) for edge in NB201.edges}
    discrete = Cell(names, 4).double()
    weights = torch.zeros(6, 5, dtype=torch.float64)
    for row, name in enumerate(names.values()):
        weights[row, supernet.operations.index(name)] = 1.0
    state = mixed.state_dict()
    with torch.no_grad():
        # Edges that leave node 0: to 1, 2, 3; those that leave node 1: to 2, 3.
        for key, source, position, op in (("0_1", 0, 0, 1), ("1_3", 1, 1, 0)):
            weight = state[f"mixtures.{source}.stacked.{op}.conv.{position}"]
            discrete.get_parameter(f"edges.{key}.1.weight").copy_(weight)
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    assert_close(mixed([x], weights)[-1].detach(), discrete(x).detach(), 1e-12)


def test_frozen_statistics() -> None:
    supernet = build_supernet(DARTS, num_classes=3, channels=2, cells=3)
    weights = evenly(supernet)
    images = torch.randn(4, 3, 8, 8)
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    with frozen_statistics(supernet):
        frozen = supernet(images, weights)
    assert all(torch.equal(buffer, before[name]) for name, buffer in supernet.named_buffers())
    assert torch.equal(supernet(images, weights), frozen)
    moved = [n for n, b in supernet.named_buffers() if not torch.equal(b, before[n])]
    assert len(moved) > 0.9 * len(before)  # a dead channel keeps its mean


def test_the_generator_decides_the_weights() -> None:
    def weights(seed: int) -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        supernet = build_supernet(NB201, num_classes=3, channels=2, cells=1, generator=generator)
        return chain(supernet.parameters())

    state = torch.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(1), weights(2), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_initial_weights_are_those_of_single_convolutions() -> None:
    supernet = build_supernet(DARTS, num_classes=3, channels=16, cells=3)
    for name, parameter in supernet.named_parameters():
        if "stacked" in name:
            fan_in = parameter[0].numel()
            largest = float(parameter.detach().abs().max())
            assert 0.9 * fan_in**-0.5 < largest <= fan_in**-0.5, name


def test_an_operation_of_ones_own() -> None:
    @register_operation("test_scaled_conv")
    class ScaledConv(nn.Sequential):
        def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
            conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
            super().__init__(conv, nn.BatchNorm2d(channels_out))

    space = CellSpace(3, ["none", "test_scaled_conv", "skip_connect"])
    fast = build_supernet(space, num_classes=5, channels=4, cells=1).double()
    compare(fast, plain_copy(fast, channels=4), (8, 8), tolerance=1e-9)


def test_a_supernet_of_ones_own() -> None:
    class MySpace(DARTSSpace):
        pass

    try:

        @register_supernet(MySpace, channels=2, cells=3)
        class MySupernet(DARTSSupernet):
            pass

        assert type(build_supernet(MySpace(), num_classes=2)) is MySupernet
        assert type(build_supernet(DARTS, num_classes=2, channels=2, cells=3)) is DARTSSupernet
        register_supernet(MySpace, channels=2, cells=3)(MySupernet)  # a cell that is run again
        with pytest.raises(ValueError, match="`space` is MySpace, which has the supernet MySup"):
            register_supernet(MySpace, channels=2, cells=3)(DARTSSupernet)
    finally:
        _SUPERNETS.pop(MySpace, None)


@pytest.mark.parametrize("space", [NASBench101Space(), FlatSpace({"x": IntDistribution(1, 3)})])
def test_spaces_without_a_supernet(space: SearchSpace) -> None:
    with pytest.raises(TypeError, match="has no supernet; supernets are known for"):
        build_supernet(space, num_classes=2)


@pytest.mark.parametrize("name", ["num_classes", "in_channels", "channels", "cells"])
def test_wrong_sizes(name: str) -> None:
    sizes: dict[str, Any] = {"num_classes": 2, name: 0}
    with pytest.raises(ValueError, match=f"`{name}` is 0; allowed is an integer of 1 or more"):
        build_supernet(NB201, **sizes)


def test_one_pixel_of_one_image() -> None:
    supernet = build_supernet(DARTS, num_classes=2, channels=2, cells=3)
    with pytest.raises(ValueError, match=r"needs two values per channel|more than 1 value"):
        supernet(torch.randn(1, 3, 4, 4), evenly(supernet))
