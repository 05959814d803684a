"""Counting shared edges, hard and soft."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
import torch

from optuna_nas.methods import SharedEdges, common_edges
from optuna_nas.methods.edge_nes.shared_edges import _subset
from optuna_nas.spaces import (
    Architecture,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.supernets import build_supernet

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
    return SharedEdges(optimum, supernet)


def derivable(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """In DARTSSpace, another operation in place of each `none`."""
    if not isinstance(architecture.space, DARTSSpace):
        return architecture
    names = [name for name in architecture.space.operations if name != "none"]
    params = {
        name: names[rng.integers(len(names))] if value == "none" else value
        for name, value in architecture.params.items()
    }
    return architecture.space.architecture(params)


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
        optimum = derivable(space.random(rng), rng)
        shared = shared_with(optimum, cells)
        assert shared.total == total
        other = optimum
        for _ in range(int(rng.integers(2 * total))):
            other = derivable(space.mutate(other, rng), rng)
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


def test_an_operation_that_is_never_derived_is_never_sampled() -> None:
    """A large `none` does not hide the edges that the derived cell shares."""
    rng = np.random.default_rng(0)
    shared = shared_with(derivable(DARTSSpace().random(rng), rng), 3)
    operations, switches = logits_of(shared)
    column = shared.operations.index("none")
    for logits in operations.values():
        logits[:, column] = 1000.0
        logits.requires_grad_()
    count = shared.soft(operations, switches, 0.05, torch.Generator().manual_seed(0))
    assert float(count.detach()) == pytest.approx(16.0, abs=0.03)
    count.backward()  # type: ignore[no-untyped-call]
    for logits in operations.values():
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all()) and not bool(logits.grad[:, column].any())


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
    fewer = EdgeNESSpace(("sep_conv_3x3", "max_pool_3x3", "dil_conv_5x5"))
    for space, edge, operation in (
        (EdgeNESSpace(num_nodes=3), r"\(3, 5\)", "dil_conv_5x5"),
        (fewer, r"\(2, 3\)", "skip_connect"),
    ):
        supernet = build_supernet(space, num_classes=2, channels=2, cells=1)
        with pytest.raises(ValueError, match=rf"edge {edge} with '{operation}' is none of"):
            SharedEdges(optimum, supernet)
    flat = FlatSpace({"x": optuna.distributions.FloatDistribution(0, 1)})
    with pytest.raises(ValueError, match="has no operations on edges"):
        SharedEdges(flat.random(np.random.default_rng(0)), supernet)


def test_operations_that_are_never_derived_are_refused() -> None:
    space = DARTSSpace()
    rng = np.random.default_rng(0)
    allowed = derivable(space.random(rng), rng)
    name = next(name for name in allowed.params if "op_0" in name)
    optimum = space.architecture({**allowed.params, name: "none"})
    assert shared_with(allowed, 3).total == 16
    with pytest.raises(
        ValueError, match=r"^`optimum` is Genotype.*'none', which DARTSSupernet nev"
    ):
        shared_with(optimum, 3)
    # In cell spaces `none` is an operation as any other.
    cells = NASBench201Space()
    nothing = cells.architecture(dict.fromkeys(cells.distributions, "none"))
    assert shared_with(nothing, 1).total == 6


@pytest.mark.parametrize(
    ("space", "cells"), [(SPACE, 1), (DARTSSpace(), 3), (NASBench201Space(), 1)]
)
def test_what_is_derived_can_be_an_optimum(space: SearchSpace, cells: int) -> None:
    """Whatever the weights; those of `never_derived` are the largest."""
    supernet = build_supernet(space, num_classes=2, channels=2, cells=cells)
    generator = torch.Generator().manual_seed(0)
    heavy = [name in supernet.never_derived for name in supernet.operations]
    for _ in range(5):
        weights = {
            kind: torch.rand(len(edges), len(heavy), generator=generator) + torch.tensor(heavy)
            for kind, edges in supernet.edges.items()
        }
        optimum = supernet.derive(weights)
        assert SharedEdges(optimum, supernet).total == common_edges(optimum, optimum)
