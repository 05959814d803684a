from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from optuna_nas.surrogates import MLPEnsemble, Predictor
from optuna_nas.surrogates.validation import (
    LEVELS,
    calibration,
    cross_validate,
    rank_correlation,
)

NUMBER = 4000


class Spy(Predictor):
    """Predicts the first column, and remembers which rows it saw and was asked for."""

    def __init__(self) -> None:
        self.seen: list[set[float]] = []
        self.asked: list[set[float]] = []

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        assert len(features) == len(targets)
        assert (features[:, 0] == targets).all()
        self.seen.append(set(targets))

    def predict(self, features: np.ndarray) -> np.ndarray:
        self.asked.append(set(features[:, 0]))
        return np.stack([features[:, 0], features[:, 0] + 1])


def normal_predictions(
    rng: np.random.Generator, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Targets from a normal distribution for each, and two members with that mean and spread.

    The spread of the members is divided by the confidence.
    """
    mean, spread = rng.normal(size=NUMBER), rng.uniform(0.2, 2, NUMBER)
    targets = rng.normal(mean, spread)
    return np.stack([mean - spread / confidence, mean + spread / confidence]), targets


def test_a_calibrated_predictor_covers_what_it_should(rng: np.random.Generator) -> None:
    members, targets = normal_predictions(rng, 1)
    measured = calibration(members, targets)
    assert measured.nominal == LEVELS
    # Four standard errors of a share of 4,000.
    assert np.abs(np.subtract(measured.nominal, measured.observed)).max() < 0.032
    assert measured.error < 0.015
    assert abs(measured.overconfidence) < 0.015
    # The entropy of the normal distributions, in units of the targets' spread.
    spread = members.std(axis=0) / targets.std()
    assert measured.nll == pytest.approx(
        np.mean(0.5 * math.log(2 * math.pi * math.e) + np.log(spread)), abs=0.06
    )


@pytest.mark.parametrize(("confidence", "sign"), [(3, 1), (1 / 3, -1)])
def test_wrong_confidence_is_detected(
    confidence: float, sign: int, rng: np.random.Generator
) -> None:
    right = calibration(*normal_predictions(rng, 1))
    wrong = calibration(*normal_predictions(rng, confidence))
    gaps = np.subtract(wrong.nominal, wrong.observed)
    assert (sign * gaps > 0).all()
    assert wrong.error == pytest.approx(sign * wrong.overconfidence) and wrong.error > 0.2
    assert wrong.nll > right.nll + 0.3


def test_members_that_agree_are_infinitely_sure_but_cost_something_finite() -> None:
    targets = np.arange(20.0)
    measured = calibration(np.stack([targets + 0.5] * 3), targets)
    assert set(measured.observed) == {0.0}
    assert measured.error == pytest.approx(0.5)
    assert math.isfinite(measured.nll) and measured.nll > 1000
    assert set(calibration(np.stack([targets] * 3), targets).observed) == {1.0}


def test_explained_variance_and_ranks() -> None:
    targets = np.array([1.0, 2.0, 4.0, 8.0])
    spread = np.array([[-1.0], [1.0]])
    exact = calibration(targets + spread, targets)
    assert exact.r2 == 1 and exact.spearman == pytest.approx(1)
    constant = calibration(np.full(4, targets.mean()) + spread, targets)
    assert (constant.r2, constant.spearman) == (0, 0)
    backwards = calibration(targets[::-1] + spread, targets)
    assert backwards.r2 < 0 and backwards.spearman == pytest.approx(-1)
    assert calibration(targets + spread, np.ones(4)).r2 == 0


def test_ranks_agree_with_scipy(rng: np.random.Generator) -> None:
    for first, second in (rng.integers(0, 5, (10, 2, 30))).astype(float):
        assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert rank_correlation(np.ones(3), np.arange(3.0)) == 0


@pytest.mark.parametrize(("folds", "sizes"), [(4, [5, 5, 5, 4]), (50, [1] * 19), (2, [10, 9])])
def test_each_row_is_predicted_once_by_a_predictor_that_did_not_see_it(
    folds: int, sizes: list[int], rng: np.random.Generator
) -> None:
    spy, targets = Spy(), np.arange(19.0)
    members = cross_validate(spy, targets[:, None], targets, rng, folds=folds)
    assert (members == np.stack([targets, targets + 1])).all()
    assert [len(asked) for asked in spy.asked] == sizes
    for seen, asked in zip(spy.seen, spy.asked, strict=True):
        assert not seen & asked
        assert seen | asked == set(targets)


def test_folds_are_random_and_repeatable() -> None:
    def first_fold(seed: int) -> set[float]:
        spy = Spy()
        targets = np.arange(30.0)
        cross_validate(spy, targets[:, None], targets, np.random.default_rng(seed), folds=3)
        return spy.asked[0]

    assert first_fold(0) == first_fold(0) != first_fold(1)
    assert first_fold(0) != set(range(10))


def test_a_learnable_function_is_predicted_from_the_other_folds(
    rng: np.random.Generator,
) -> None:
    features = rng.integers(0, 2, (80, 6)).astype(np.float32)
    targets = features @ np.arange(1.0, 7.0)
    members = cross_validate(MLPEnsemble(), features, targets, rng, folds=5)
    assert members.shape == (5, 80)
    assert calibration(members, targets).spearman > 0.9


def test_wrong_arguments_are_named(rng: np.random.Generator) -> None:
    rows = np.zeros((5, 2))
    with pytest.raises(ValueError, match="`targets` has 2 entries"):
        cross_validate(Spy(), rows[:2], np.zeros(2), rng)
    with pytest.raises(ValueError, match="`features` has 5 rows, but `targets` 4"):
        cross_validate(Spy(), rows, np.zeros(4), rng)
    with pytest.raises(ValueError, match="`folds` is 1"):
        cross_validate(Spy(), rows, np.zeros(5), rng, folds=1)
    with pytest.raises(ValueError, match=r"`members` has the shape \(3, 4\)"):
        calibration(np.zeros((3, 4)), np.zeros(5))
