"""Constraints: what is learnt of them, and that feasibility comes before the score."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.surrogates.constraints import (
    constraint_targets,
    drawn_violations,
    feasible_first,
)


def test_the_limit_stays_where_it_is() -> None:
    values = np.array([-8.0, -1.0, 0.0, 1.0, 5.0])
    targets = constraint_targets(values)
    assert targets == pytest.approx([-np.log(9), -np.log(2), 0, np.log(2), np.log(6)])
    assert constraint_targets(1e6 * values) == pytest.approx(targets)  # whatever the unit


@pytest.mark.parametrize("value", [-3.0, 0.0, 2.0])
def test_constant_constraints(value: float) -> None:
    targets = constraint_targets(np.full(4, value))
    assert np.sign(targets).tolist() == [np.sign(value)] * 4
    assert np.isfinite(targets).all()
    mostly = constraint_targets(np.array([0.0, 0.0, 0.0, value]))
    assert np.sign(mostly[3]) == np.sign(value)


def test_violations_add_up_and_what_is_met_does_not_make_up_for_them() -> None:
    first = np.tile([-5.0, 1.0, 2.0, 0.0], (3, 1))
    second = np.tile([-1.0, -9.0, 3.0, 0.0], (3, 1))
    assert drawn_violations([first, second], [0]).tolist() == [0, 1, 5, 0]


def test_draws_decide(rng: np.random.Generator) -> None:
    """On the limit half of the draws are feasible; far from it all or none."""
    members = np.repeat([[-100.0, 0.0, 100.0]], 2000, axis=1)[0] + rng.normal(size=(5, 6000))
    members -= members.mean(axis=0) - np.repeat([-100.0, 0.0, 100.0], 2000)
    violations = drawn_violations([members], [1])
    shares = (violations == 0).reshape(3, 2000).mean(axis=1)
    assert shares == pytest.approx([1, 0.5, 0], abs=0.04)
    assert np.array_equal(drawn_violations([members[:, :30]], [1]), violations[:30])


def test_the_feasible_ones_come_first_by_score_the_others_by_violation() -> None:
    scores = np.array([5.0, -3.0, 1e9, 0.0, -1e9, -np.inf])
    violations = np.array([0.0, 2.0, 0.0, 0.0, 0.001, 0.0])
    order = np.argsort(feasible_first(scores, violations, 1.0))
    assert order.tolist() == [5, 3, 0, 2, 4, 1]
    without = feasible_first(scores, np.zeros(6), 7.0)
    assert np.argsort(without).tolist() == np.argsort(scores).tolist()
