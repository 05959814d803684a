"""The hypernetwork: what it gives the supernet, and that its architectures share λ edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optuna_nas.methods import (
    ArchitectureHypernetwork,
    EdgePenalty,
    SharedEdges,
    common_edges,
)
from optuna_nas.spaces import Architecture, DARTSSpace, EdgeNESSpace, NASBench201Space, SearchSpace
from optuna_nas.supernets import EdgeNESSupernet, build_supernet

SPACE = EdgeNESSpace()


def small(space: SearchSpace = SPACE, cells: int = 1, seed: int = 0) -> ArchitectureHypernetwork:
    """A hypernetwork around an optimum that can be derived."""
    supernet = build_supernet(space, num_classes=3, channels=2, cells=cells)
    generator = torch.Generator().manual_seed(seed)
    weights = {
        kind: torch.rand(len(edges), len(supernet.operations), generator=generator)
        for kind, edges in supernet.edges.items()
    }
    shared = SharedEdges(supernet.derive(weights), supernet)
    return ArchitectureHypernetwork(shared, generator=generator)


def test_one_cell_has_112_parameters_at_each_pivot() -> None:
    made = small()
    assert made.curve.values.shape == (5, 14 * 7 + 14)
    assert made.curve.length == 4
    assert sum(p.numel() for p in made.parameters()) == 5 * 112 + 4


def test_weights_are_those_of_the_parameters_at_the_pivots() -> None:
    made = small()
    weights = made.weights(2.0)["cell"].detach()
    value = made.curve.values[2].detach()
    operations, switches = value[:98].view(14, 7), value[98:]
    torch.testing.assert_close(weights.sum(1)[:2], switches[:2].softmax(0))
    torch.testing.assert_close(weights[5], operations[5].softmax(0) * switches[5:9].softmax(0)[0])
    for rows in (slice(0, 2), slice(2, 5), slice(5, 9), slice(9, 14)):
        assert float(weights[rows].sum()) == pytest.approx(1.0, abs=1e-5)


def test_positions_are_drawn_uniformly_with_the_margin() -> None:
    made = small()
    generator = torch.Generator().manual_seed(0)
    drawn = np.array([made.draw(generator) for _ in range(4000)])
    assert -0.2 <= drawn.min() < -0.19 and 4.19 < drawn.max() <= 4.2
    assert drawn.mean() == pytest.approx(2.0, abs=0.08)
    assert drawn.std() == pytest.approx(4.4 / np.sqrt(12), abs=0.05)


def test_weights_of_a_step_are_those_at_the_position_that_is_drawn() -> None:
    made = small()
    with torch.no_grad():
        weights = made(torch.Generator().manual_seed(7), 0.0)["cell"]
        position = made.draw(torch.Generator().manual_seed(7))
        torch.testing.assert_close(weights, made.weights(position)["cell"])


def test_the_penalty_is_the_weighted_square_of_the_difference() -> None:
    made = small()
    for progress, weight, temperature in ((0.0, 0.3, 1.0), (0.5, 1.65, 0.525), (1.0, 3.0, 0.05)):
        generator = torch.Generator().manual_seed(3)
        position = made.draw(generator)
        count = made.shared.soft(*made.logits(position), temperature, generator).detach()
        penalty = made.penalty(torch.Generator().manual_seed(3), progress).detach()
        assert float(penalty) == pytest.approx(weight * (position - float(count)) ** 2, rel=1e-5)
        assert float(penalty) > 0


def test_wrong_penalties() -> None:
    with pytest.raises(ValueError, match="`final_temperature` is 0"):
        EdgePenalty(final_temperature=0)
    with pytest.raises(ValueError, match=r"`margin` is 1\.5"):
        shared = small().shared
        ArchitectureHypernetwork(shared, generator=torch.Generator(), margin=1.5)


def trained(
    space: SearchSpace, cells: int, seed: int, steps: int
) -> tuple[ArchitectureHypernetwork, list[tuple[float, Architecture]]]:
    """Train a hypernetwork by its penalty alone: the loss of the supernet is flat."""
    made = small(space, cells, seed)
    supernet = build_supernet(space, num_classes=3, channels=2, cells=cells)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.1, betas=(0.5, 0.999), weight_decay=1e-3)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        loss = made.penalty(generator, step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    total = made.shared.total
    with torch.no_grad():
        found = [(x, supernet.derive(made.weights(x))) for x in range(total + 1)]
    return made, [(float(x), architecture) for x, architecture in found]


def test_architectures_share_as_many_edges_as_they_are_asked_to() -> None:
    """The acceptance test of the method: the mean count is within 0.5 of λ = 0, 1, 2, 3, 4."""
    counts: dict[float, list[int]] = {}
    for seed in range(4):
        made, found = trained(SPACE, 1, seed, 400)
        for x, architecture in found:
            counts.setdefault(x, []).append(common_edges(made.shared.optimum, architecture))
    means = {x: float(np.mean(values)) for x, values in counts.items()}
    assert list(means) == [0.0, 1.0, 2.0, 3.0, 4.0]
    for x, mean in means.items():
        assert mean == pytest.approx(x, abs=0.5)
    assert sorted(means.values()) == list(means.values())


def test_the_supernet_is_registered() -> None:
    supernet = build_supernet(SPACE, num_classes=10)
    assert isinstance(supernet, EdgeNESSupernet)
    assert supernet.edges.keys() == {"cell"} and len(supernet.edges["cell"]) == 14
    assert len(supernet.cells) == 1
    images = torch.randn(2, 3, 8, 8)
    assert supernet(images, small().weights(1.0)).shape == (2, 10)


@pytest.mark.slow
@pytest.mark.parametrize(("space", "cells"), [(DARTSSpace(), 3), (NASBench201Space(), 1)])
@pytest.mark.parametrize("seed", range(3))
def test_other_spaces(space: SearchSpace, cells: int, seed: int) -> None:
    """In spaces of more edges the count follows λ as well."""
    made, found = trained(space, cells, seed, 600)
    positions = np.array([x for x, _ in found])
    counts = np.array([common_edges(made.shared.optimum, a) for _, a in found])
    residuals = np.square(counts - positions).sum()
    assert 1 - residuals / np.square(counts - counts.mean()).sum() >= 0.8
    assert abs(counts[0]) <= 1 and abs(counts[-1] - made.shared.total) <= 1
