"""Criteria: closed forms, batches that spread, and scores that do not change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from optuna_nas.surrogates import (
    Acquisition,
    ChebyshevCriterion,
    CriterionFactory,
    HypervolumeCriterion,
    ei,
    its,
    pi,
    ts,
    ucb,
)
from optuna_nas.surrogates.criteria import SingleCriterion

STAIRS = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
ALL: dict[str, Acquisition] = {"its": its, "ts": ts, "ucb": ucb, "ei": ei, "pi": pi}


def certain(vectors: np.ndarray, members: int = 3) -> list[np.ndarray]:
    """Predictions without any doubt: `k` times `e x n`."""
    return [np.tile(column, (members, 1)) for column in vectors.T]


def uncertain(k: int, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(5, n)) for _ in range(k)]


def head(members: Sequence[np.ndarray], n: int) -> list[np.ndarray]:
    return [m[:, :n] for m in members]


@pytest.mark.parametrize("acquisition", [its, ts, ucb])
def test_the_score_is_minus_the_volume_gained(acquisition: Acquisition) -> None:
    """Both objectives reach from 1 to 3, so in units of their extent all areas are a quarter."""
    criterion = HypervolumeCriterion(STAIRS, acquisition, [0])
    vectors = np.array([[1.5, 2.5], [2.0, 2.5], [1.0, 1.0], [3.0, 3.0]])
    scores = criterion.scores(certain(vectors))
    # The reference point is (1.6, 1.6); the stairs cover 0.05 + 0.3 + 0.11 of what is within it.
    # Of dominated vectors it is the step back to the front.
    assert scores == pytest.approx([-0.0625, 0, -(1.1**2 - 0.46), 0.5])


def test_the_unit_of_an_objective_does_not_matter(rng: np.random.Generator) -> None:
    observed, members = rng.normal(size=(20, 2)), uncertain(2, 30, rng)
    factors = [1e-6, 1e6]
    for factory in (HypervolumeCriterion, ChebyshevCriterion):
        plain = factory(observed, its, [3]).scores(members)
        scaled = factory(observed * factors, its, [3]).scores(
            [m * f for m, f in zip(members, factors, strict=True)]
        )
        assert scaled == pytest.approx(plain)


def test_a_chosen_candidate_takes_its_volume_away() -> None:
    criterion = HypervolumeCriterion(STAIRS, ucb, [0])
    vectors = np.array([[0.5, 2.0], [0.6, 2.0], [2.0, 0.8]])
    alone = criterion.scores(certain(vectors))
    after = criterion.scores(certain(vectors), chosen=[0])
    assert alone[1] < alone[2] < 0  # the second one is good, but nearly the first one again
    assert after[:2].tolist() == [0, 0]
    assert after[2] == pytest.approx(alone[2])


def test_chebyshev_by_hand() -> None:
    observed = np.array([[0.0, 20.0], [10.0, 0.0], [50.0, 50.0]])
    criterion = ChebyshevCriterion(observed, ucb, [5], rho=0.1)
    first, second = criterion.weights(0)
    scores = criterion.scores(certain(np.array([[5.0, 5.0], [20.0, -20.0]])))
    parts = np.array([[0.5 * first, 0.25 * second], [2 * first, -1 * second]])
    assert scores == pytest.approx(parts.max(axis=1) + 0.1 * parts.sum(axis=1))


def test_the_incumbent_of_chebyshev_is_the_best_weighted_error() -> None:
    seen = []

    def acquisition(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
        seen.append(incumbent)
        return np.asarray(members[0])

    criterion = ChebyshevCriterion(STAIRS, acquisition, [5])
    for place in range(3):
        scores = criterion.scores(certain(STAIRS), chosen=range(place))
        assert seen[-1] == pytest.approx(scores.min())


@pytest.mark.parametrize("k", [2, 3])
def test_weights_are_uniform_among_those_that_sum_to_one(k: int) -> None:
    criterion = ChebyshevCriterion(np.eye(k), ucb, [7])
    weights = np.array([criterion.weights(place) for place in range(2000)])
    assert weights.sum(axis=1) == pytest.approx(np.ones(2000))
    assert weights.min() >= 0
    # The share of a corner: all weights but one at most one half.
    share = (weights[:, 0] > 0.5).mean()
    assert share == pytest.approx(0.5 ** (k - 1), abs=0.04)


def test_each_trial_of_a_batch_has_its_own_weights() -> None:
    criterion = ChebyshevCriterion(STAIRS, ucb, [7])
    vectors = np.array([[0.0, 3.0], [3.0, 0.0], [1.6, 1.6], [1.0, 2.0], [2.0, 1.0]])
    best = {
        int(criterion.scores(certain(vectors), chosen=[0] * place).argmin()) for place in range(40)
    }
    assert len(best) >= 3


def cases() -> list[tuple[CriterionFactory, Acquisition, int]]:
    found: list[tuple[CriterionFactory, Acquisition, int]] = []
    for name, acquisition in ALL.items():
        found.append((SingleCriterion, acquisition, 1))
        found += [(ChebyshevCriterion, acquisition, k) for k in (2, 3)]
        if name not in ("ei", "pi"):
            found += [(HypervolumeCriterion, acquisition, k) for k in (2, 3)]
    return found


@pytest.mark.parametrize(("factory", "acquisition", "k"), cases())
def test_scores_do_not_depend_on_what_comes_later(
    factory: CriterionFactory, acquisition: Acquisition, k: int, rng: np.random.Generator
) -> None:
    members = uncertain(k, 40, rng)
    criterion = factory(rng.normal(size=(15, k)), acquisition, [1, 2])
    scores = criterion.scores(members)
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()
    for n in (1, 7, 39):
        assert np.array_equal(criterion.scores(head(members, n)), scores[:n])
    assert np.array_equal(criterion.scores(members), scores)
    if acquisition is its:
        other = factory(rng.normal(size=(15, k)), acquisition, [1, 3])
        assert not np.array_equal(other.scores(members), scores)


def test_draws_of_the_objectives_are_independent(rng: np.random.Generator) -> None:
    """Two objectives with the same predictions are drawn apart: no correlation of the two."""
    drawn: list[np.ndarray] = []

    def spy(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
        drawn.append(its(members, incumbent, rng))
        return drawn[-1]

    same = np.tile(rng.normal(size=(5, 1)), (1, 4000))
    HypervolumeCriterion(STAIRS, spy, [0]).scores([same, same])
    assert abs(np.corrcoef(np.stack(drawn))[0, 1]) < 0.06
