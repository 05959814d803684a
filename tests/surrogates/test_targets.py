"""Target transforms: increasing, and free of unit and origin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.surrogates import identity, log_regret
from optuna_nas.surrogates.targets import about

ERRORS = np.array([7.0, 5.0, 6.0, 15.0])


def test_by_hand() -> None:
    """The best is 5, so the regrets are 2, 0, 1, 10 and their median is 1.5."""
    offset = 0.3 * 1.5
    expected = [math.log(regret + offset) for regret in (2, 0, 1, 10)]
    assert log_regret(ERRORS) == pytest.approx(expected)
    assert identity(ERRORS).tolist() == ERRORS.tolist()


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=12))
def test_order_is_kept(errors: list[int]) -> None:
    targets = log_regret(np.array(errors, dtype=float))
    assert np.isfinite(targets).all()
    for i, first in enumerate(errors):
        for j, second in enumerate(errors):
            assert (first < second) == (targets[i] < targets[j])


@given(st.floats(-100, 100), st.floats(0.01, 100))
def test_unit_and_origin_move_all_targets_together(shift: float, scale: float) -> None:
    moved = log_regret(scale * ERRORS + shift)
    assert moved - moved[0] == pytest.approx(log_regret(ERRORS) - log_regret(ERRORS)[0])


@pytest.mark.parametrize("errors", [[3.0], [3.0, 3.0]])
def test_equal_errors_are_zero(errors: list[float]) -> None:
    assert log_regret(np.array(errors)).tolist() == [0.0] * len(errors)


def test_most_at_the_best() -> None:
    """The median regret is zero; the mean one serves instead."""
    targets = log_regret(np.array([1.0, 1.0, 1.0, 5.0]))
    assert targets == pytest.approx([math.log(0.3)] * 3 + [math.log(4.3)])


def test_differences_among_the_good_ones_count_most() -> None:
    targets = log_regret(np.array([0.0, 1.0, 20.0, 21.0, 22.0]))
    assert targets[1] - targets[0] > 2 * (targets[4] - targets[3])


def test_about_the_best_feasible_error() -> None:
    errors = np.array([3.0, 5.0, 4.0, 9.0, 1.0])
    # As they are, whatever the pivot.
    assert about(errors, 4.0, identity) == pytest.approx(errors)
    targets = about(errors, 4.0, log_regret)
    assert np.argsort(targets).tolist() == np.argsort(errors).tolist()
    # What is better is mirrored on the pivot and back.
    expected = log_regret(np.array([5.0, 5.0, 4.0, 9.0, 7.0]))
    assert targets[1:4] == pytest.approx(expected[1:4])
    assert targets[[0, 4]] == pytest.approx(2 * expected[2] - expected[[0, 4]])
    assert about(errors, 1.0, log_regret) == pytest.approx(log_regret(errors))
