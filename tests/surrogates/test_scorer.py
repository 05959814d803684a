"""The scorer: the same score each time, in whatever portions it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import pytest

from optuna_nas.spaces import Architecture, NASBench201Space
from optuna_nas.surrogates import (
    Acquisition,
    ChebyshevCriterion,
    Criterion,
    HypervolumeCriterion,
    ei,
    its,
    pi,
    ts,
    ucb,
)
from optuna_nas.surrogates.criteria import SingleCriterion
from optuna_nas.surrogates.scorer import Predictions, Scorer

SPACE = NASBench201Space()
ACQUISITIONS = {"its": its, "ts": ts, "ucb": ucb, "ei": ei, "pi": pi}


def guess(architecture: Architecture, target: int) -> np.ndarray:
    """Five members' predictions of a target, always the same for an architecture."""
    rng = np.random.default_rng([crc32(str(architecture).encode()), target])
    return np.asarray(rng.normal(size=5))


class Predict:
    """Predicts `k` objectives and `c` constraints, and counts what it was asked for."""

    def __init__(self, k: int = 1, c: int = 0) -> None:
        self.k, self.c = k, c
        self.asked: list[Architecture] = []

    def __call__(self, architectures: Sequence[Architecture]) -> Predictions:
        self.asked += architectures
        members = [
            np.stack([guess(a, target) for a in architectures], axis=1)
            for target in range(self.k + self.c)
        ]
        return Predictions(members[: self.k], members[self.k :])


@pytest.fixture
def cells(rng: np.random.Generator) -> list[Architecture]:
    return list(dict.fromkeys(SPACE.random(rng) for _ in range(60)))


def criterion(k: int, acquisition: Acquisition = its) -> Criterion:
    observed = np.random.default_rng(0).normal(size=(12, k))
    return (SingleCriterion if k == 1 else HypervolumeCriterion)(observed, acquisition, [4])


@pytest.mark.parametrize("constraints", [0, 2])
@pytest.mark.parametrize("name", ACQUISITIONS)
def test_the_same_architecture_has_the_same_score(
    name: str, constraints: int, cells: list[Architecture]
) -> None:
    predict = Predict(1, constraints)
    scorer = Scorer(predict, criterion(1, ACQUISITIONS[name]), [9])
    first = scorer(cells[:7])
    more = scorer(cells[3:20])
    again = scorer(cells[19::-1])
    assert np.array_equal(first[3:], more[:4])
    assert np.array_equal(again[::-1], np.concatenate([first, more[4:]]))
    assert predict.asked == cells[:20]  # each one once
    # In the same sequence the portions do not matter.
    assert np.array_equal(
        Scorer(Predict(1, constraints), criterion(1, ACQUISITIONS[name]), [9])(cells[:20]),
        np.concatenate([first, more[4:]]),
    )


@pytest.mark.parametrize("k", [2, 3])
def test_the_same_score_with_several_objectives(k: int, cells: list[Architecture]) -> None:
    scorer = Scorer(Predict(k, 1), criterion(k), [9])
    first = scorer(cells[:5])
    scorer(cells[5:])
    assert np.array_equal(scorer(cells[:5]), first)


def test_thompson_sampling_stays_with_one_member(cells: list[Architecture]) -> None:
    scorer = Scorer(Predict(), criterion(1, ts), [9])
    portions = np.concatenate([scorer(cells[n : n + 5]) for n in range(0, len(cells), 5)])
    members = np.stack([guess(a, 0) for a in cells], axis=1)
    assert sum(np.array_equal(portions, member) for member in members) == 1


def test_independent_draws_differ_between_architectures(cells: list[Architecture]) -> None:
    class Same(Predict):
        def __call__(self, architectures: Sequence[Architecture]) -> Predictions:
            return Predictions([np.tile(np.arange(5.0)[:, None], (1, len(architectures)))], [])

    scorer = Scorer(Same(), criterion(1, its), [9])
    scores = [float(scorer([cell])[0]) for cell in cells]
    assert len(set(scores)) == len(scores)


def test_the_order_is_that_of_the_scores(cells: list[Architecture]) -> None:
    scorer = Scorer(Predict(1, 1), criterion(1), [9])
    scorer(cells[10:30])
    ranked = scorer.order(cells[:20], 5)
    scores = scorer(ranked)
    assert sorted(map(str, ranked)) == sorted(map(str, cells[:20]))
    assert (np.diff(scores) >= 0).all()
    # Within the feasible draws the objective decides, and they all come first.
    violating = scores > 1
    assert violating.any()
    assert not violating.all()
    assert scorer.order([], 5) == []


def test_a_batch_is_chosen_greedily(cells: list[Architecture]) -> None:
    scorer = Scorer(Predict(2), criterion(2, ucb), [9])
    ranked = scorer.order(cells, 4)
    assert sorted(map(str, ranked)) == sorted(map(str, cells))
    members = Predict(2)(cells).objectives
    chosen: list[int] = []
    for _ in range(4):
        scores = criterion(2, ucb).scores(members, chosen)
        scores[chosen] = np.inf
        chosen.append(int(scores.argmin()))
    assert ranked[:4] == [cells[i] for i in chosen]
    rest = scorer(ranked[4:])
    assert (np.diff(rest) >= 0).all()


def test_batches_of_chebyshev_spread(cells: list[Architecture]) -> None:
    """With weights of its own each trial takes another part of the front."""
    observed = np.array([[0.0, 1.0], [1.0, 0.0]])
    scorer = Scorer(Predict(2), ChebyshevCriterion(observed, ucb, [4]), [9])
    ranked = scorer.order(cells, 12)
    firsts = np.array([[guess(a, j).mean() for j in range(2)] for a in ranked[:12]])
    assert np.ptp(firsts[:, 0] - firsts[:, 1]) > 1
