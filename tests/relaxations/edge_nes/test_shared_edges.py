"""Counting shared edges, hard and soft."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from optuna_nas.relaxations import SharedEdges, build_supernet, common_edges
from optuna_nas.relaxations.edge_nes.shared_edges import _subset
from optuna_nas.spaces import (
    Architecture,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    NASBench201Space,
    SearchSpace,
)

SPACE = EdgeNESSpace()
SPACES: list[tuple[SearchSpace, int, int]] = [  # and the cells of a supernet, and the edges
    (SPACE, 1, 4),
    (EdgeNESSpace(num_nodes=2), 3, 2),
    (DARTSSpace(), 3, 16),
    (NASBench201Space(), 1, 6),
]


def shared_with(optimum: Architecture, cells: int) -> SharedEdges:
    with torch.device("meta"):
        supernet = build_supernet(optimum.space, num_classes=2, channels=2, cells=cells)
    return SharedEdges(optimum, supernet.edges, supernet.operations)


def logits_of(
    shared: SharedEdges, strength: float = 40.0
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Parameters that stand for the optimum of `shared`, nearly one-hot."""
    operations = {kind: strength * target for kind, target in shared._target.items()}
    switches = {kind: strength * target.sum(dim=1) for kind, target in shared._target.items()}
    return operations, switches


def test_common_edges_by_hand() -> None:
    first = SPACE.parse("|sep_conv_3x3~1|+|skip_connect~2|+|max_pool_3x3~0|+|dil_conv_5x5~3|")
    second = SPACE.parse("|sep_conv_3x3~1|+|skip_connect~1|+|avg_pool_3x3~0|+|dil_conv_5x5~3|")
    assert common_edges(first, second) == common_edges(second, first) == 2
    assert common_edges(first, first) == 4


def test_common_edges_of_two_cells() -> None:
    """The normal and the reduction cell have edges of their own."""
    space = DARTSSpace()
    rng = np.random.default_rng(0)
    first = space.random(rng)
    genes = space.genotype(first)
    exchanged = space.from_genotype(genes._replace(normal=genes.reduce, reduce=genes.normal))
    assert common_edges(first, first) == 16
    assert common_edges(first, exchanged) == 2 * sum(
        gene in genes.reduce[2 * (i // 2) : 2 * (i // 2) + 2]
        for i, gene in enumerate(genes.normal)
    )


@pytest.mark.parametrize("space", [SPACE, DARTSSpace(), NASBench201Space()])
def test_a_mutation_changes_one_edge(space: SearchSpace) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        architecture = space.random(rng)
        total = common_edges(architecture, architecture)
        assert common_edges(architecture, space.mutate(architecture, rng)) == total - 1


def test_architectures_of_other_spaces_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"`second` is of EdgeNESSpace.*num_nodes=2"):
        common_edges(SPACE.random(rng), EdgeNESSpace(num_nodes=2).random(rng))


@pytest.mark.parametrize(("space", "cells", "total"), SPACES, ids=lambda v: str(v)[:14])
def test_soft_counts_are_near_hard_ones_at_a_low_temperature(
    space: SearchSpace, cells: int, total: int
) -> None:
    """Any architecture against any optimum: at t = 0.05 and with clear parameters."""
    rng = np.random.default_rng(2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        optimum = space.random(rng)
        shared = shared_with(optimum, cells)
        assert shared.total == total
        other = optimum
        for _ in range(int(rng.integers(2 * total))):
            other = space.mutate(other, rng)
        operations, switches = logits_of(shared_with(other, cells))
        soft = shared.soft(operations, switches, 0.05, generator)
        assert float(soft) == pytest.approx(common_edges(optimum, other), abs=0.03)


def test_the_optimum_shares_all_of_its_own_edges() -> None:
    """The published blur would leave 3.966 of 4."""
    shared = shared_with(SPACE.random(np.random.default_rng(3)), 1)
    count = shared.soft(*logits_of(shared), 0.05, torch.Generator().manual_seed(0))
    assert float(count) == pytest.approx(4.0, abs=1e-3)


def test_the_mean_soft_count_is_the_expected_hard_one() -> None:
    """At a low temperature options are chosen with their softmax probabilities."""
    optimum = SPACE.random(np.random.default_rng(4))
    shared = shared_with(optimum, 1)
    generator = torch.Generator().manual_seed(0)
    operations = {"cell": torch.randn(14, 7, generator=generator)}
    switches = {"cell": torch.randn(14, generator=generator)}
    expected, start = 0.0, 0
    for node, (name, source) in zip(SPACE.nodes, SPACE.genes(optimum), strict=True):
        rows = slice(start, start + node)
        edge = switches["cell"][rows].softmax(0)[source]
        operation = operations["cell"][start + source].softmax(0)[SPACE.operations.index(name)]
        expected += float(edge * operation)
        start += node
    counts = [float(shared.soft(operations, switches, 0.01, generator)) for _ in range(4000)]
    assert np.mean(counts) == pytest.approx(expected, abs=4 * np.std(counts) / np.sqrt(4000))


def test_gradients_lead_to_the_optimum() -> None:
    shared = shared_with(SPACE.random(np.random.default_rng(5)), 1)
    generator = torch.Generator().manual_seed(0)
    operations = {"cell": torch.zeros(14, 7, requires_grad=True)}
    switches = {"cell": torch.zeros(14, requires_grad=True)}
    shared.soft(operations, switches, 1.0, generator).backward()  # type: ignore[no-untyped-call]
    gradient = switches["cell"].grad
    assert gradient is not None
    target = shared._target["cell"]
    assert bool((gradient[target.sum(1) == 1] > 0).all())
    gradient = operations["cell"].grad
    assert gradient is not None
    assert bool((gradient[target == 1] > 0).all())
    assert float(gradient[target.sum(1) == 0].abs().max()) == 0.0


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_relaxed_choice_of_several(size: int) -> None:
    noisy = torch.tensor([0.3, 2.0, -1.0, 1.0])
    best = noisy.argsort(descending=True)[:size]
    expected = torch.zeros(4)
    expected[best] = 1.0
    torch.testing.assert_close(_subset(noisy, size, 0.01), expected)
    for temperature in (1.0, 0.3):
        chosen = _subset(noisy, size, temperature)
        assert float(chosen.min()) > 0 and float(chosen.max()) <= 1
        assert size >= 4 or torch.equal(chosen.argsort(), noisy.argsort())
        assert size != 1 or torch.equal(chosen, (noisy / temperature).softmax(0))


def test_without_switches_every_edge_counts() -> None:
    space = NASBench201Space()
    shared = shared_with(space.random(np.random.default_rng(0)), 1)
    operations, _ = logits_of(shared)
    count = shared.soft(operations, {}, 0.05, torch.Generator().manual_seed(0))
    assert float(count) == pytest.approx(6.0, abs=1e-3)


def test_foreign_optima_are_refused() -> None:
    optimum = SPACE.parse("|sep_conv_3x3~1|+|skip_connect~2|+|max_pool_3x3~0|+|dil_conv_5x5~3|")
    edges = {"cell": tuple(product(range(2), range(2, 6)))}
    with pytest.raises(ValueError, match=r"edge \(2, 3\) with 'skip_connect' is none of"):
        SharedEdges(optimum, edges, SPACE.operations)
    import optuna

    flat = FlatSpace({"x": optuna.distributions.FloatDistribution(0, 1)})
    with pytest.raises(ValueError, match="has no operations on edges"):
        SharedEdges(flat.random(np.random.default_rng(0)), edges, SPACE.operations)
