"""Losses: closed forms, invariances and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.surrogates import MAE, MAPE, MSE, Loss

Y = np.array([6.0, 5.0, 9.0])
PREDICTED = np.array([7.0, 5.0, 6.0])
LOSSES = [MAE(), MSE(), MAPE(4.5), MAPE()]
numbers = st.floats(-100, 100)


def test_closed_forms() -> None:
    assert MAE()(PREDICTED, Y) == pytest.approx((1 + 0 + 3) / 3)
    assert MSE()(PREDICTED, Y) == pytest.approx((1 + 0 + 9) / 3)
    assert MAPE(4.5)(PREDICTED, Y) == pytest.approx((1 / 1.5 + 0 + 3 / 4.5) / 3)
    # As it is printed in the paper.
    assert MAPE(4.5)(PREDICTED, Y) == pytest.approx(
        np.mean(np.abs((PREDICTED - 4.5) / (Y - 4.5) - 1))
    )
    assert MAPE(0.0)(PREDICTED, Y) == pytest.approx(np.mean(np.abs(PREDICTED / Y - 1)))


def test_the_default_bound_is_one_deviation_below_the_best() -> None:
    assert MAPE().bound(Y) == pytest.approx(5.0 - Y.std())
    assert MAPE().bound(np.array([3.0])) == 2.0
    assert MAPE().bound(np.array([3.0, 3.0])) == 2.0
    assert MAPE()(PREDICTED, Y) == pytest.approx(MAPE(5.0 - Y.std())(PREDICTED, Y))


@pytest.mark.parametrize("loss", LOSSES)
@given(st.lists(st.tuples(st.floats(5, 100), numbers), min_size=1, max_size=8))
def test_zero_exactly_when_all_are_right(loss: Loss, pairs: list[tuple[float, float]]) -> None:
    y, predicted = np.array(pairs).T
    assert loss(y, y) == 0
    assert (loss(predicted, y) > 0) == (np.abs(predicted - y) > 1e-150).any()


@given(st.floats(-50, 50), st.floats(0.01, 50))
def test_percentages_do_not_depend_on_unit_and_origin(shift: float, scale: float) -> None:
    expected = MAPE(4.5)(PREDICTED, Y)
    moved, predicted = scale * Y + shift, scale * PREDICTED + shift
    assert MAPE(scale * 4.5 + shift)(predicted, moved) == pytest.approx(expected)
    assert MAPE()(predicted, moved) == pytest.approx(MAPE()(PREDICTED, Y))
    assert MAPE(scale * 4.5 + shift).weights(moved) == pytest.approx(MAPE(4.5).weights(Y))


def test_weights() -> None:
    for loss in LOSSES:
        weights = loss.weights(Y)
        assert weights.shape == Y.shape
        assert (weights > 0).all()
        assert weights.mean() == pytest.approx(1)
    assert MAE().weights(Y).tolist() == MSE().weights(Y).tolist() == [1, 1, 1]
    # The smaller the error, the more it counts; only ratios matter.
    weights = MAPE(4.5).weights(Y)
    assert weights[1] > weights[0] > weights[2]
    assert weights / weights[1] == pytest.approx(0.5 / (Y - 4.5))


@pytest.mark.parametrize("loss", LOSSES)
def test_slope_is_the_derivative_of_the_penalty(loss: Loss, rng: np.random.Generator) -> None:
    residuals = rng.normal(size=(3, 20))
    residuals[np.abs(residuals) < 1e-3] = 0.5  # not at the corner
    step = 1e-6
    numeric = (loss.penalty(residuals + step) - loss.penalty(residuals - step)) / (2 * step)
    assert loss.slope(residuals) == pytest.approx(numeric, abs=1e-6)
    assert loss.slope(np.zeros(2)).tolist() == [0, 0]


@pytest.mark.parametrize("loss", LOSSES)
def test_weighted_slope_is_the_derivative_of_the_loss(
    loss: Loss, rng: np.random.Generator
) -> None:
    """Up to the constant by which the weights are scaled."""
    y, predicted = 5 + rng.random(6), 5 + rng.random(6)
    step = 1e-6
    gradient = [
        (loss(predicted + step * e, y) - loss(predicted - step * e, y)) / (2 * step)
        for e in np.eye(6)
    ]
    ours = loss.weights(y) * loss.slope(predicted - y) / 6
    ratio = np.array(gradient) / ours
    assert ratio == pytest.approx(ratio[0], rel=1e-4)
    assert ratio[0] > 0


@pytest.mark.parametrize("bound", [5.0, 5.5, 99.0])
def test_targets_must_lie_above_the_bound(bound: float) -> None:
    message = f"`lower_bound` is {bound}, but an error of 5.0 was observed; allowed is a number"
    for call in (MAPE(bound).bound, MAPE(bound).weights, lambda y: MAPE(bound)(y, y)):
        with pytest.raises(ValueError, match=message):
            call(Y)
