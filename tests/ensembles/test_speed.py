"""The theorem about the speed of EdgeNES, its simulation, and the comparison of curves."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from optuna_nas.ensembles import (
    auc_after,
    expected_edge_updates,
    relative_speed,
    simulated_edge_updates,
    welch_test,
)

SETTINGS = [(4, 3, 4.6875), (4, 4, 6.25), (8, 3, 7.59375), (14, 5, 20.0892857)]


@pytest.mark.parametrize(("edges", "members", "expected"), SETTINGS)
def test_expected_updates(edges: int, members: int, expected: float) -> None:
    assert expected_edge_updates(members, edges) == pytest.approx(expected)


@pytest.mark.parametrize(("edges", "members", "expected"), SETTINGS)
def test_the_simulation_agrees_with_the_theorem(edges: int, members: int, expected: float) -> None:
    drawn = simulated_edge_updates(members, edges, 100_000, np.random.default_rng(0))
    assert drawn.shape == (100_000,)
    assert drawn.min() >= 0 and drawn.max() <= members * edges
    assert drawn.mean() == pytest.approx(expected, abs=4 * drawn.std() / np.sqrt(100_000))


def test_one_member_exactly() -> None:
    """Sums over all μ, ν and all subsets, without a formula of the mean."""
    edges, total = 4, 0.0
    for mu, nu in product(range(1, edges + 1), repeat=2):
        for m in range(max(0, mu + nu - edges), min(mu, nu) + 1):
            total += m * comb(mu, m) * comb(edges - mu, nu - m) / comb(edges, nu) / edges**2
    assert expected_edge_updates(1, edges) == pytest.approx(total)
    drawn = simulated_edge_updates(1, edges, 50_000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(total, abs=0.02)


def test_one_edge_is_always_trained() -> None:
    assert expected_edge_updates(3, 1) == 3
    assert set(simulated_edge_updates(3, 1, 10, np.random.default_rng(0))) == {3}


def test_relative_speed() -> None:
    assert relative_speed(3, 4) == pytest.approx(1.171875)
    assert relative_speed(3, 8) == pytest.approx(0.94921875)


def test_wrong_numbers() -> None:
    with pytest.raises(ValueError, match="`edges` is 0"):
        expected_edge_updates(3, 0)
    with pytest.raises(ValueError, match="`members` is 0"):
        simulated_edge_updates(0, 4, 10, np.random.default_rng(0))


def test_area_by_hand() -> None:
    iterations, values = [0, 50, 100, 150], [0.0, 0.4, 0.6, 0.7]
    assert auc_after(iterations, values, 50) == pytest.approx(50 * 0.5 + 50 * 0.65)
    assert auc_after(iterations, values, 0) == pytest.approx(50 * 0.2 + 50 * 0.5 + 50 * 0.65)
    # Between two points: the value at 80 is 0.52.
    assert auc_after(iterations, values, 80) == pytest.approx(20 * 0.56 + 50 * 0.65)


def test_area_of_a_line_does_not_depend_on_its_points() -> None:
    for count in (2, 3, 10):
        x = np.linspace(0, 10, count)
        assert auc_after(list(x), list(2 * x), 3) == pytest.approx(100 - 9)


@pytest.mark.parametrize(
    ("iterations", "values", "start", "message"),
    [
        ([0, 1], [1.0], 0, "with 1 values"),
        ([0], [1.0], 0, "two or more"),
        ([0, 2, 1], [1.0, 1.0, 1.0], 0, "ascending order"),
        ([0, 1], [1.0, 1.0], 1, "`start` is 1; allowed is from 0 to below 1"),
        ([0, 1], [1.0, 1.0], -1, "`start` is -1"),
    ],
)
def test_no_curve(
    iterations: list[float], values: list[float], start: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        auc_after(iterations, values, start)


def with_moments(mean: float, deviation: float, count: int) -> NDArray[np.float64]:
    """Numbers of exactly this mean and standard deviation."""
    values = np.random.default_rng(count).standard_normal(count)
    values = (values - values.mean()) / values.std(ddof=1)
    result: NDArray[np.float64] = mean + deviation * values
    return result


@pytest.mark.parametrize(("runs", "p_value"), [(18, 0.0348), (19, 0.0300)])
def test_the_published_areas(runs: int, p_value: float) -> None:
    """2.90 ± 0.19 against 2.78 ± 0.13: p = 0.0329 as published is between 18 and 19 runs."""
    result = welch_test(with_moments(2.90, 0.19, runs), with_moments(2.78, 0.13, runs))
    assert result.difference == pytest.approx(0.12)
    assert result.statistic == pytest.approx(0.12 / np.sqrt((0.19**2 + 0.13**2) / runs))
    assert result.p_value == pytest.approx(p_value, abs=5e-5)


def test_unequal_variances_and_numbers_by_hand() -> None:
    """Welch's degrees of freedom, not Student's: p by the t distribution at 3.53 degrees."""
    from scipy import stats

    first, second = [1.0, 2.0, 3.0, 4.0], [10.0, 0.0, 20.0]
    a, b = np.var(first, ddof=1) / 4, np.var(second, ddof=1) / 3
    freedom = (a + b) ** 2 / (a**2 / 3 + b**2 / 2)
    statistic = (2.5 - 10.0) / np.sqrt(a + b)
    result = welch_test(first, second)
    assert result.statistic == pytest.approx(statistic)
    assert result.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), freedom))


def test_values_without_variance() -> None:
    assert welch_test([1.0, 1.0], [1.0, 1.0]) == (0.0, 0.0, 1.0)
    assert welch_test([1.0, 1.0], [2.0, 2.0]) == (-1.0, -np.inf, 0.0)
    with pytest.raises(ValueError, match="have 1 and 2 values"):
        welch_test([1.0], [1.0, 2.0])
