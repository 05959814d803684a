"""Acquisition functions: closed forms, limits and frequencies."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from optuna_nas.surrogates import Acquisition, ei, its, pi, ts, ucb
from optuna_nas.surrogates.acquisition import calm_its, log_ei

NORMAL = NormalDist()
ALL: dict[str, Acquisition] = {"its": its, "ts": ts, "ucb": ucb, "ei": ei, "pi": pi}


def members(mean: list[float], spread: list[float]) -> np.ndarray:
    """Two members with the given mean and population deviation."""
    return np.array([np.subtract(mean, spread), np.add(mean, spread)])


@pytest.mark.parametrize("name", ALL)
def test_one_score_for_each_candidate(name: str, rng: np.random.Generator) -> None:
    predictions = rng.normal(size=(5, 13))
    before = predictions.copy()
    scores = ALL[name](predictions, 0.0, rng)
    assert scores.shape == (13,)
    assert np.isfinite(scores).all()
    assert np.array_equal(predictions, before)


def test_ucb_is_half_a_deviation_below_the_mean(rng: np.random.Generator) -> None:
    assert ucb(members([1, 2], [0, 4]), 0.0, rng) == pytest.approx([1, 0])
    three = np.array([[1.0], [2.0], [6.0]])
    assert ucb(three, 0.0, rng) == pytest.approx(3 - 0.5 * math.sqrt(14 / 3))


def test_expected_improvement_at_the_incumbent(rng: np.random.Generator) -> None:
    scores = ei(members([3, 3], [2, 0.5]), 3.0, rng)
    assert np.exp(-scores) == pytest.approx(np.array([2, 0.5]) / math.sqrt(2 * math.pi))


def test_improvement_by_simulation(rng: np.random.Generator) -> None:
    mean, spread, incumbent = [0.3, -0.2, 1.5], [0.5, 1.0, 2.0], 0.1
    draws = np.random.default_rng(3).normal(mean, spread, size=(400_000, 3))
    improvement = np.clip(incumbent - draws, 0, None)
    predictions = members(mean, spread)
    found = [np.exp(-function(predictions, incumbent, rng)) for function in (ei, pi)]
    assert found[0] == pytest.approx(improvement.mean(axis=0), abs=0.005)
    assert found[1] == pytest.approx((draws < incumbent).mean(axis=0), abs=0.004)


def test_improvement_without_spread_is_its_limit(rng: np.random.Generator) -> None:
    mean = [1.0, 2.0, 3.0]
    certain = members(mean, [0, 0, 0])
    nearly = members(mean, [1e-9, 1e-9, 1e-9])
    for predictions in (certain, nearly):
        assert np.exp(-ei(predictions, 2.0, rng)) == pytest.approx([1, 0, 0], abs=1e-8)
        assert np.exp(-pi(predictions, 2.0, rng)) == pytest.approx([1, 0.5, 0])


EXACT = {  # log(z Phi(z) + phi(z)) and log Phi(z), to 60 digits by mpmath
    -1e8: (-5000000000000037.760, -5000000000000019.3396),
    -1e4: (-50000019.3396193051, -50000010.1292789052),
    -300.0: (-45012.3265368145588, -45006.6227321186638),
    -100.0: (-5010.12957880024969, -5005.52420869420436),
    -38.5: (-749.347274207822852, -745.695270290411081),
    -20.001: (-206.937938269790983, -203.937205622934226),
    -19.99: (-206.716895636700676, -203.716707717208404),
    -10.0: (-55.5531220361223551, -53.2312851505124679),
    -5.0: (-16.7443011626609798, -15.0649983939887093),
    -1.0: (-2.48512102571264129, -1.84102164500926399),
    0.0: (-0.918938533204672742, -0.693147180559945309),
    3.0: (1.09873966532770818, -0.00135080996474819378),
    40.0: (3.68887945411393630, 0.0),
}


def test_improvement_far_out_against_high_precision(rng: np.random.Generator) -> None:
    """With a deviation of 1, a mean of `-z` and an incumbent of 0."""
    predictions = members([-z for z in EXACT], [1.0] * len(EXACT))
    expected = np.array(list(EXACT.values())).T
    scores = log_ei(np.array(list(EXACT))), ei(predictions, 0.0, rng), pi(predictions, 0.0, rng)
    assert scores[0] == pytest.approx(expected[0], rel=1e-14)
    assert -scores[1][1:] == pytest.approx(expected[0][1:], rel=1e-7)
    assert -scores[2][1:] == pytest.approx(expected[1][1:], rel=1e-7)


@pytest.mark.parametrize("function", [ei, pi])
@pytest.mark.parametrize("spread", [0.0, 1e-320, 1e-7, 1e-3, 1.0])
@pytest.mark.parametrize("incumbent", [-1e5, -1000.0, -50.0, 0.0, 1000.0])
def test_the_lowest_mean_is_first_however_far_away(
    function: Acquisition, spread: float, incumbent: float, rng: np.random.Generator
) -> None:
    """No two are equal, or the first would win where the best should."""
    order = rng.permutation(9)
    mean = order.astype(float) + 1
    scores = function(mean + spread * np.array([[-1.0], [1.0]]), incumbent, rng)
    assert np.isfinite(scores).all()
    assert np.argsort(scores).tolist() == np.argsort(mean).tolist()
    assert len(set(scores)) == 9


def test_improvement_prefers_spread_and_low_means(rng: np.random.Generator) -> None:
    for function in (ei, pi):
        by_mean = function(members([1, 2, 3], [1, 1, 1]), 0.5, rng)
        assert by_mean[0] < by_mean[1] < by_mean[2]
        by_spread = function(members([2, 2, 2], [0.5, 1, 2]), 1.0, rng)
        assert by_spread[0] > by_spread[1] > by_spread[2]


@pytest.mark.parametrize("function", [its, ucb, ts])
def test_without_spread_the_order_is_that_of_the_mean(
    function: Acquisition, rng: np.random.Generator
) -> None:
    mean = rng.permutation(20).astype(float)
    assert function(np.tile(mean, (5, 1)), 0.0, rng) == pytest.approx(mean)


@pytest.mark.parametrize("name", ["its", "ts", "ucb", "ei", "pi"])
def test_shift_and_scale_do_not_change_the_order(name: str) -> None:
    predictions = np.random.default_rng(1).normal(size=(5, 30))
    order = np.argsort(ALL[name](predictions, -0.3, np.random.default_rng(2)))
    moved = 7 * predictions + 50
    again = np.argsort(ALL[name](moved, 7 * -0.3 + 50, np.random.default_rng(2)))
    assert order.tolist() == again.tolist()


def test_independent_thompson_sampling_is_normal(rng: np.random.Generator) -> None:
    predictions = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
    draws = np.array([its(predictions, 0.0, rng) for _ in range(20_000)])
    deviations = predictions.std(axis=0)
    assert draws.mean(axis=0) == pytest.approx([2, 5], abs=0.1)
    assert draws.std(axis=0) == pytest.approx(deviations, rel=0.03)
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03  # each candidate has a draw of its own


def test_calm_sampling_is_normal_with_less_of_a_spread(rng: np.random.Generator) -> None:
    predictions = np.array([[0.0, 5.0], [2.0, 5.5]])
    draws = np.array([calm_its(predictions, 0.0, rng) for _ in range(20_000)])
    assert draws.mean(axis=0) == pytest.approx([1.0, 5.25], abs=0.02)
    assert draws.std(axis=0) == pytest.approx([0.6, 0.15], rel=0.03)


def test_independent_thompson_sampling_chooses_by_the_normal_law(
    rng: np.random.Generator,
) -> None:
    means, deviations = [0.0, 0.7], [1.0, 0.5]
    predictions = members(means, deviations)
    rounds = 20_000
    first = sum(np.diff(its(predictions, 0.0, rng))[0] > 0 for _ in range(rounds)) / rounds
    expected = NORMAL.cdf((means[1] - means[0]) / math.hypot(*deviations))
    assert abs(first - expected) < 4 * math.sqrt(expected * (1 - expected) / rounds)


def test_thompson_sampling_takes_one_member(rng: np.random.Generator) -> None:
    predictions = rng.normal(size=(4, 6))
    chosen = [ts(predictions, 0.0, rng) for _ in range(400)]
    rows = [int(np.flatnonzero((predictions == scores).all(axis=1))[0]) for scores in chosen]
    assert np.bincount(rows).tolist() == pytest.approx([100] * 4, abs=40)


@pytest.mark.parametrize("function", ALL.values(), ids=list(ALL))
def test_randomness_is_the_generator_s(
    function: Callable[..., np.ndarray], rng: np.random.Generator
) -> None:
    predictions = rng.normal(size=(5, 8))
    one, two = (function(predictions, 0.0, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one, two)
