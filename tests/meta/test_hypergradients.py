"""Hypergradients: against differences, closed forms, each other, and DARTS."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from optuna_nas.errors import UserError
from optuna_nas.meta import (
    HYPERGRADIENTS,
    ConjugateGradients,
    DrMAD,
    Hypergradient,
    HypergradientMethod,
    Implicit,
    Neumann,
    ReverseMode,
    Tensors,
    Training,
    Unrolling,
)
from optuna_nas.meta.hypergradients.reverse_mode import Reversible
from optuna_nas.meta.problem import Losses
from optuna_nas.methods import Unrolled, architecture_gradient
from optuna_nas.trials.divergence import DivergedError
from tests.meta.ridge import Ridge, decay

STEPS = 30


@pytest.fixture
def ridge() -> Ridge:
    return Ridge.random().bent()


@pytest.fixture
def start(ridge: Ridge) -> dict[str, Tensor]:
    return ridge.init(torch.Generator().manual_seed(3))


def schedule(steps: int = STEPS) -> Training:
    """Other rates and momenta in every step; momenta are fractions of 2^16."""
    rates = 0.3 + 0.2 * torch.sin(torch.arange(steps, dtype=torch.float64))
    momenta = 0.8 + 0.15 * torch.cos(torch.arange(steps, dtype=torch.float64))
    return Training(steps, rates, (momenta * 2**16).round() / 2**16, first_batch=4)


def difference(
    problem: Any, weights: Tensors, hyper: Tensors, training: Training, change: str, index: int
) -> float:
    """The central difference of the validation loss in one number."""
    values = []
    for sign in (1, -1):
        changed: dict[str, Any] = {}
        moved = {name: h.clone() for name, h in hyper.items()}
        if change in hyper:
            moved[change].view(-1)[index] += sign * 1e-5
        else:
            changed[change] = torch.as_tensor(getattr(training, change)).clone()
            changed[change][index] += sign * 1e-5
        run = Unrolling()(problem, weights, moved, replace(training, **changed))
        values.append(run.validation_loss)
    return (values[0] - values[1]) / 2e-5


def close(found: Hypergradient, expected: Hypergradient, tolerance: float) -> None:
    def check(left: Tensor | None, right: Tensor | None) -> None:
        assert left is not None and right is not None
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance * 1e-2)

    for name, gradient in expected.hyper.items():
        check(found.hyper[name], gradient)
    check(found.learning_rate, expected.learning_rate)
    check(found.momentum, expected.momentum)


@pytest.mark.parametrize("method", [Unrolling(), ReverseMode()], ids=["unrolling", "rmad"])
def test_against_central_differences(
    method: HypergradientMethod, ridge: Ridge, start: dict[str, Tensor]
) -> None:
    training, hyper = schedule(), decay(-1.0, 5)
    found = method(ridge, start, hyper, training)
    for index in range(5):
        expected = difference(ridge, start, hyper, training, "log_decay", index)
        assert float(found.hyper["log_decay"][index]) == pytest.approx(expected, rel=1e-3)
    for name in ("learning_rate", "momentum"):
        for index in (0, 7, STEPS - 1):
            expected = difference(ridge, start, hyper, training, name, index)
            gradient = getattr(found, name)[index]
            assert float(gradient) == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_reversing_equals_unrolling(ridge: Ridge, start: dict[str, Tensor]) -> None:
    """At momenta that the fixed point has, to its precision; with velocities at the start too."""
    velocity = {name: torch.full_like(w, 0.1) for name, w in start.items()}
    arguments = (ridge, start, decay(), schedule())
    found = ReverseMode()(*arguments, velocity=velocity)
    expected = Unrolling()(*arguments, velocity=velocity)
    close(found, expected, 1e-8)
    assert found.validation_loss == pytest.approx(expected.validation_loss, rel=1e-10)
    for name, velocity_at_end in expected.velocity.items():
        torch.testing.assert_close(found.weights[name], expected.weights[name])
        torch.testing.assert_close(found.velocity[name], velocity_at_end)


def test_integers_return_after_a_hundred_steps(ridge: Ridge, start: dict[str, Tensor]) -> None:
    losses = Losses(ridge, start, decay())
    state = Reversible(losses, torch.zeros_like(losses.start))
    before, training = state.integers(), schedule(100)
    way = []
    for batch, rate, momentum in training:
        way.append(state.integers())
        state.step(batch, rate, momentum)
    assert not torch.equal(state.integers()[0], before[0])
    assert not state.store.is_empty
    for (batch, rate, momentum), expected in zip(
        reversed(list(training)), reversed(way), strict=True
    ):
        state.undo_move(rate)
        state.undo_velocity(losses.gradient(state.weights, batch), momentum)
        assert all(map(torch.equal, state.integers(), expected))
    assert all(map(torch.equal, state.integers(), before))
    assert state.store.is_empty


@pytest.mark.parametrize(("momentum", "steps"), [(0.9, 200), (0.5, 100)])
def test_bits_of_a_training(
    momentum: float, steps: int, ridge: Ridge, start: dict[str, Tensor]
) -> None:
    found = ReverseMode()(ridge, start, decay(), Training(steps, 0.1, momentum))
    assert found.bits_per_weight / steps == pytest.approx(math.log2(1 / momentum), rel=0.1)
    assert found.bits_per_weight < 128 * steps / 50


def test_single_precision_is_reversed_as_well() -> None:
    problem = Ridge.random().single()
    weights = problem.init(torch.Generator().manual_seed(0))
    hyper = {"log_decay": torch.tensor(-1.0)}
    arguments = (problem, weights, hyper, Training(100, 0.2, 0.9))
    found, expected = ReverseMode()(*arguments), Unrolling()(*arguments)
    torch.testing.assert_close(
        found.hyper["log_decay"], expected.hyper["log_decay"], rtol=1e-3, atol=1e-5
    )


def test_greedy_is_the_second_order_of_darts(start: dict[str, Tensor]) -> None:
    """A quadratic training loss, for which the difference of DARTS is exact."""
    ridge, xi = Ridge.random(), 0.2
    found = HYPERGRADIENTS["greedy"](ridge, start, decay(), Training(1, xi, 0.0))
    hyper = {"log_decay": decay()["log_decay"].requires_grad_()}
    weights = {name: w.clone().requires_grad_() for name, w in start.items()}
    [expected] = architecture_gradient(
        [hyper["log_decay"]],
        list(weights.values()),
        validation_loss=lambda: ridge.validation_loss(weights, 0),
        training_loss=lambda: ridge.training_loss(weights, hyper, 0),
        unrolled=Unrolled(xi),
    )
    torch.testing.assert_close(found.hyper["log_decay"], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "solver", [ConjugateGradients(), Neumann(2000, 0.3)], ids=["cg", "neumann"]
)
def test_the_implicit_gradient_is_that_of_ridge_regression(solver: Any) -> None:
    ridge = Ridge.random()
    optimum = ridge.optimum(-1.0)
    weights = {"a": optimum[:2], "b": optimum[2:].reshape(-1, 1)}
    found = Implicit(solver)(ridge, weights, decay(), Training(1, 1e-3, 0.0))
    assert float(found.hyper["log_decay"]) == pytest.approx(ridge.implicit(-1.0), rel=1e-8)
    assert found.learning_rate is None and found.momentum is None


def test_a_long_training_approaches_the_implicit_gradient(start: dict[str, Tensor]) -> None:
    ridge = Ridge.random()
    arguments = (ridge, start, decay())
    expected, errors = ridge.implicit(-1.0), []
    for steps in (5, 20, 300):
        found = Unrolling()(*arguments, Training(steps, 0.5, 0.5))
        errors.append(abs(float(found.hyper["log_decay"]) - expected))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6
    trained = Implicit()(*arguments, Training(300, 0.5, 0.5))
    assert float(trained.hyper["log_decay"]) == pytest.approx(expected, rel=1e-6)


class Straight:
    """Constant second derivatives: L = ‖w‖²/2 + λ·w."""

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"w": torch.randn(3, generator=generator, dtype=torch.float64)}

    def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
        return weights["w"].square().sum() / 2 + hyper["shift"] @ weights["w"]

    def validation_loss(self, weights: Tensors, batch: int) -> Tensor:
        return weights["w"].exp().sum()


def test_drmad_is_exact_for_constant_second_derivatives() -> None:
    weights = Straight().init(torch.Generator().manual_seed(0))
    hyper = {"shift": torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)}
    found = DrMAD()(Straight(), weights, hyper, schedule())
    expected = Unrolling()(Straight(), weights, hyper, schedule())
    torch.testing.assert_close(found.hyper["shift"], expected.hyper["shift"])
    assert found.validation_loss == pytest.approx(expected.validation_loss)
    assert found.bits_per_weight == 128


class Slope(Straight):
    """A constant gradient, so that a training without momentum goes straight."""

    def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
        return hyper["shift"] @ weights["w"]


def test_drmad_is_exact_on_a_straight_way() -> None:
    weights = Slope().init(torch.Generator().manual_seed(0))
    hyper = {"shift": torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)}
    arguments = (Slope(), weights, hyper, Training(10, 0.1, 0.0))
    # With momentum 0 the velocity before a step is not the one before the first.
    velocity = {"w": -hyper["shift"]}
    close(DrMAD()(*arguments, velocity=velocity), Unrolling()(*arguments, velocity=velocity), 1e-9)


def test_drmad_goes_about_the_right_way(start: dict[str, Tensor]) -> None:
    """And not exactly: it is an approximation on ridge regression."""
    ridge = Ridge.random()
    arguments = (ridge, start, decay(-1.0, 5), Training(40, 0.1, 0.9))
    found = DrMAD()(*arguments).hyper["log_decay"]
    expected = Unrolling()(*arguments).hyper["log_decay"]
    assert float(torch.cosine_similarity(found, expected, dim=0)) > 0.9
    assert float((found - expected).norm() / expected.norm()) > 1e-3


def test_a_window_continues_the_training(ridge: Ridge, start: dict[str, Tensor]) -> None:
    """Two parts of a training end where the whole does."""
    whole = Unrolling()(ridge, start, decay(), Training(10, 0.2, 0.9))
    first = Unrolling()(ridge, start, decay(), Training(4, 0.2, 0.9))
    second = Unrolling()(
        ridge,
        first.weights,
        decay(),
        Training(6, 0.2, 0.9, first_batch=4),
        velocity=first.velocity,
    )
    for name, weights in whole.weights.items():
        torch.testing.assert_close(second.weights[name], weights)


@pytest.mark.parametrize("method", HYPERGRADIENTS.values(), ids=HYPERGRADIENTS)
class TestBadInput:
    def test_arguments_are_left_as_they_are(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        hyper = decay()
        copies = {name: w.clone() for name, w in start.items()}
        method(Ridge.random(), start, hyper, Training(3, 0.1, 0.5))
        assert all(torch.equal(w, copies[name]) for name, w in start.items())
        assert torch.equal(hyper["log_decay"], decay()["log_decay"])
        assert not hyper["log_decay"].requires_grad and not start["a"].requires_grad

    def test_a_loss_without_the_hyper_parameter(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        hyper = decay() | {"other": torch.zeros(2, dtype=torch.float64)}
        with pytest.raises(ValueError, match=r"does not depend on \['other'\] in any of 3 steps"):
            method(Ridge.random(), start, hyper, Training(3, 0.1, 0.5))

    def test_a_hyper_parameter_that_moves_no_gradient(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        class Added(Ridge):
            def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
                return super().training_loss(weights, hyper, batch) + hyper["other"].sum()

        problem = Added(**vars(Ridge.random()))
        hyper = decay() | {"other": torch.zeros(2, dtype=torch.float64)}
        with pytest.raises(ValueError, match=r"does not depend on \['other'\]"):
            method(problem, start, hyper, Training(3, 0.1, 0.5))

    def test_a_loss_without_weights(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        class Constant(Ridge):
            def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
                return hyper["log_decay"] * 2

        with pytest.raises(ValueError, match=r"^`training_loss` does not depend on the weights"):
            method(Constant(**vars(Ridge.random())), start, decay(), Training(3, 0.1, 0.5))

    def test_nan_has_the_number_of_the_step(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        class Broken(Ridge):
            def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
                loss = super().training_loss(weights, hyper, batch)
                return loss * math.nan if batch == 7 else loss

        training = Training(10, 0.1, 0.5, first_batch=5)
        with pytest.raises(DivergedError, match=r"^`training_loss` is nan in step 7$"):
            method(Broken(**vars(Ridge.random())), start, decay(), training)

    def test_a_gradient_that_is_not_finite(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        class Kink(Ridge):
            def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
                root = (weights["a"] * (0.0 if batch == 2 else 1.0)).abs().sqrt().sum()
                return super().training_loss(weights, hyper, batch) + root

        with pytest.raises(
            DivergedError, match="gradient of the training loss is not finite in step 2"
        ):
            method(Kink(**vars(Ridge.random())), start, decay(), Training(5, 1e-3, 0.5))

    def test_a_validation_loss_of_nan(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        problem = Ridge.random()
        problem = replace(problem, y_validation=problem.y_validation * math.nan)
        with pytest.raises(DivergedError, match=r"^`validation_loss` is nan on batch 6$"):
            method(problem, start, decay(), Training(2, 0.1, 0.5), validation_batch=6)

    def test_other_devices(self, method: HypergradientMethod, start: dict[str, Tensor]) -> None:
        problem = Ridge.random()
        hyper = {"log_decay": torch.zeros((), dtype=torch.float64, device="meta")}
        with pytest.raises(
            ValueError, match=r"^The hyper-parameter 'log_decay' is on meta, the we"
        ):
            method(problem, start, hyper, Training(2, 0.1, 0.5))
        mixed = start | {"b": start["b"].to("meta")}
        with pytest.raises(ValueError, match="of several types or on several devices"):
            method(problem, mixed, decay(), Training(2, 0.1, 0.5))
        away = replace(problem, x=problem.x.to("meta"))
        with pytest.raises((ValueError, RuntimeError), match=r"^`training_loss` .* step 0"):
            method(away, start, decay(), Training(2, 0.1, 0.5))

    def test_a_loss_that_is_no_number(
        self, method: HypergradientMethod, start: dict[str, Tensor]
    ) -> None:
        class Several(Ridge):
            def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
                return super().training_loss(weights, hyper, batch) * torch.ones(2)

        with pytest.raises(
            ValueError, match=re.escape("`training_loss` has returned (2,) in step")
        ):
            method(Several(**vars(Ridge.random())), start, decay(), Training(2, 0.1, 0.5))

    def test_weights_that_are_none(self, method: HypergradientMethod) -> None:
        ridge, training = Ridge.random(), Training(2, 0.1, 0.5)
        with pytest.raises(ValueError, match=r"^`init` has returned no weights"):
            method(ridge, {}, decay(), training)
        with pytest.raises(ValueError, match=r"^`init` has 'a' of torch.int64; allowed are float"):
            method(ridge, {"a": torch.arange(2)}, decay(), training)
        with pytest.raises(ValueError, match=r"^`hyper` has 'log_decay' that is not finite"):
            method(ridge, ridge.init(torch.Generator()), decay(math.inf), training)


@pytest.mark.parametrize("momentum", [1.0, -0.5, math.nan, 2.0])
def test_momentum_out_of_range(momentum: float) -> None:
    with pytest.raises(ValueError, match=rf"^`momentum` is {momentum!r}; allowed are numbers"):
        Training(3, 0.1, momentum)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_learning_rate_out_of_range(rate: float) -> None:
    with pytest.raises(ValueError, match=rf"^`learning_rate` is {rate!r}; allowed are positive"):
        Training(3, rate)


def test_wrong_numbers_of_steps() -> None:
    with pytest.raises(ValueError, match=r"^`steps` is 0; allowed is an integer of 1 or more"):
        Training(0)
    with pytest.raises(ValueError, match=r"^`momentum` has the shape \(2,\); allowed are one num"):
        Training(3, 0.1, [0.5, 0.5])


def test_a_reversed_training_needs_momentum(start: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"^`momentum` is 0.0; a training that is to be reversed"):
        ReverseMode()(Ridge.random(), start, decay(), Training(3, 0.1, 0.0))


def test_sizes_that_overflow_the_fixed_point(start: dict[str, Tensor]) -> None:
    ridge = Ridge.random()
    large = start | {"a": start["a"] + 2000}
    with pytest.raises(ValueError, match=r"^A weight is 2000\.\d+ at the start; .* below 1024"):
        ReverseMode()(ridge, large, decay(), Training(3, 0.1, 0.5))
    with pytest.raises(
        DivergedError, match=r"^a (weight|step|gradient|velocity) is .* in step \d"
    ):
        ReverseMode()(ridge, start, decay(5.0), Training(50, 1.0, 0.9))


def test_a_training_that_is_another_one_the_second_time(start: dict[str, Tensor]) -> None:
    noise = torch.Generator().manual_seed(0)

    class Noisy(Ridge):
        def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
            factor = 1 + 1e-6 * torch.rand((), generator=noise, dtype=torch.float64)
            return super().training_loss(weights, hyper, batch) * factor

    with pytest.raises(UserError, match="not reversed exactly"):
        ReverseMode()(Noisy(**vars(Ridge.random())), start, decay(), Training(5, 0.1, 0.9))


def test_a_saddle_has_no_implicit_gradient(start: dict[str, Tensor]) -> None:
    class Saddle(Ridge):
        def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
            return super().training_loss(weights, hyper, batch) - 4 * weights["a"].square().sum()

    problem, training = Saddle(**vars(Ridge.random())), Training(1, 1e-3, 0.0)
    with pytest.raises(DivergedError, match="the implicit gradient needs a minimum"):
        Implicit()(problem, start, decay(), training)
    with pytest.raises(DivergedError, match="the Neumann series grows"):
        Implicit(Neumann(500, 0.3))(problem, start, decay(), training)
    assert Implicit(damping=10.0)(problem, start, decay(), training).hyper["log_decay"].isfinite()
