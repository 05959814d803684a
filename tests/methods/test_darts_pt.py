"""Selection by perturbation, on merits that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optuna_nas.methods.darts_pt import project
from optuna_nas.methods.shared_weights import SharedWeights
from optuna_nas.spaces import DARTSSpace, EdgeNESSpace, NASBench201Space, SearchSpace
from optuna_nas.supernets import Weights, build_supernet
from tests.methods.test_all_methods import engine, small
from tests.supernets.plain_supernet import evenly


@pytest.mark.parametrize(
    ("space", "cells"),
    [(NASBench201Space(), 1), (DARTSSpace(), 3), (EdgeNESSpace(), 1)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_of_an_additive_supernet_the_best_is_chosen(
    space: SearchSpace, cells: int, seed: int
) -> None:
    """The merit is a sum over operations: each edge keeps its best, each node its best inputs."""
    supernet = build_supernet(space, num_classes=2, channels=4, cells=cells)
    generator = torch.Generator().manual_seed(seed)
    values = {k: torch.rand(w.shape, generator=generator) for k, w in evenly(supernet).items()}
    tuned: list[float] = []

    def merit(weights: Weights) -> tuple[float, float]:
        return float(sum((values[k] * w).sum() for k, w in weights.items())), 0.0

    def tune(weights: Weights) -> None:
        tuned.append(float(sum((w.amax(1) == 1).sum() for w in weights.values())))

    strengths = {k: torch.full_like(w, 0.1) for k, w in values.items()}
    found = project(supernet, strengths, merit, tune, np.random.default_rng(seed))
    assert tuned == list(range(1, len(tuned) + 1)) and len(tuned) == sum(
        len(edges) for edges in supernet.edges.values()
    )
    columns = [c for c, n in enumerate(supernet.operations) if n not in supernet.never_derived]
    best = {}
    for kind, value in values.items():
        chosen = torch.zeros_like(value)
        top = torch.tensor(columns)[value[:, columns].argmax(1)]
        chosen[torch.arange(len(value)), top] = value[torch.arange(len(value)), top]
        best[kind] = chosen
    assert supernet.derive(found) == supernet.derive(best)
    assert all(set(w.flatten().tolist()) == {0.0, 1.0} for w in found.values())


def test_the_largest_weight_is_not_what_counts() -> None:
    """An operation of little weight that the supernet needs wins over one that it does not."""
    supernet = build_supernet(NASBench201Space(), num_classes=2, channels=2, cells=1)
    weights = {"cell": torch.tensor([[0.1, 0.6, 0.1, 0.1, 0.1]] * 6)}

    def merit(weights: Weights) -> tuple[float, float]:
        return float((weights["cell"][:, 3] > 0).sum()), 0.0

    found = project(supernet, weights, merit, lambda w: None, np.random.default_rng(0))
    assert bool((found["cell"].argmax(1) == 3).all())


def test_of_equal_accuracies_the_smaller_loss() -> None:
    search = engine(small("darts_pt"), "nasbench201")
    shared = SharedWeights(search)
    accuracy, minus_loss = shared.merit_and_loss(search.strengths())
    assert 0 <= accuracy <= 1 and minus_loss < 0
    with torch.no_grad():
        losses = [float(search.loss(b, search.strengths())) * len(b[1]) for b in shared.batches]
    images = sum(len(labels) for _, labels in shared.batches)
    assert -minus_loss == pytest.approx(sum(losses) / images, rel=1e-5)


def test_the_search_is_as_it_was() -> None:
    """The supernet that is tuned is a copy: a second choice is the same."""
    search = engine(small("darts_pt", tuning_epochs=1), "cell")
    search.train_epoch()
    before = {n: v.clone() for n, v in search.supernet.state_dict().items()}
    random = search.generator.get_state()
    first = search.method.selection(search)
    assert all(torch.equal(v, before[n]) for n, v in search.supernet.state_dict().items())
    assert torch.equal(search.generator.get_state(), random)
    assert search.method.selection(search) == first
    assert search.epochs == 1 and len(search.trajectory) == 2
