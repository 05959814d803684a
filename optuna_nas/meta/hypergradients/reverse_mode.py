"""Hypergradients by reversing the training: exact, with a few bits of memory for each step.

1. Train in fixed-point arithmetic that can be undone (`fixed_point`), and keep only the bits that
   multiplications by the momentum cut off: log2(1/γ) for each weight and step.
2. Go back from the last weights, with dw = ∇L_val(w), dv = 0. For each step, the last one first:

       dα = dw·v;   dv ← dv + α dw
       w ← w - α v;   g = ∇L_train(w);   v ← (v + (1 - γ) g) / γ      (to the last bit)
       dγ = dv·(v + g)
       dw ← dw - (1 - γ) ∇w(g·dv);   dλ ← dλ - (1 - γ) ∇λ(g·dv);   dv ← γ dv

Reference: D. Maclaurin, D. Duvenaud, R. P. Adams, "Gradient-based Hyperparameter Optimization
through Reversible Learning", ICML 2015, arXiv:1502.03492, algorithms 1 to 3.

*Departures*: see `fixed_point`. That the start is reached again, to the last bit, is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_nas.errors import UserError
from optuna_nas.meta.fixed_point import (
    DENOMINATOR,
    LARGEST,
    BitStore,
    fraction,
    to_floats,
    to_integers,
)
from optuna_nas.meta.hypergradients.base import (
    Backward,
    Hypergradient,
    Training,
    start_velocity,
)
from optuna_nas.meta.problem import Losses, Problem, Tensors
from optuna_nas.trials.divergence import DivergedError


@dataclass(frozen=True)
class ReverseMode:
    """Train, and run the training backward.

    The momentum must be above 0. Losses must be the same to the last bit when they are computed
    again: on a GPU, with deterministic algorithms only.

    Args:
        window: See :class:`HypergradientMethod`.
    """

    window: int | None = None
    tunes_training: ClassVar[bool] = True

    def __call__(
        self,
        problem: Problem,
        weights: Tensors,
        hyper: Tensors,
        training: Training,
        *,
        velocity: Tensors | None = None,
        validation_batch: int = 0,
    ) -> Hypergradient:
        """Train, and compute the gradient; see :class:`HypergradientMethod`.

        Raises:
            DivergedError: A loss or a gradient is not finite, or a weight or velocity has become
                too large for the fixed point; the message has the step.
            ValueError: As for all methods; or the momentum is 0 or too close to 0 or 1, or a
                weight is too large from the start.
            UserError: The training is not the same when its losses are computed again.
        """
        for _, _, momentum in training:
            fraction(momentum)
        losses = Losses(problem, weights, hyper)
        state = Reversible(losses, start_velocity(losses, velocity))
        start = state.integers()
        for batch, rate, momentum in training:
            state.step(batch, rate, momentum)
        last_weights, last_velocity = state.weights, state.velocity
        bits = state.store.bits
        value, gradient = losses.validation_gradient(last_weights, validation_batch)
        backward = Backward(losses, gradient)
        for batch, rate, momentum in reversed(list(training)):
            backward.through_move(state.velocity, rate)
            state.undo_move(rate)
            g = backward.through_gradient(state.weights, batch, _effective(momentum))
            state.undo_velocity(g, momentum)
            backward.through_momentum(state.velocity, g, _effective(momentum))
        if not all(map(torch.equal, state.integers(), start)) or not state.store.is_empty:
            raise UserError(
                "The training was not reversed exactly: `training_loss` is not the same when it "
                "is computed again for the same weights and the same batch."
            )
        return backward.result(value, last_weights, last_velocity, training, bits)


class Reversible:
    """Weights and velocities in fixed point, whose steps can be undone.

    Args:
        losses: The losses; they have the weights to start from.
        velocity: The velocities to start from.

    Attributes:
        store: What the momentum has cut off.

    Raises:
        ValueError: A number is too large.
    """

    def __init__(self, losses: Losses, velocity: Tensor) -> None:
        self._losses = losses
        for name, values in (("weight", losses.start), ("velocity", velocity)):
            largest = float(values.abs().max())
            if not largest < LARGEST:
                raise ValueError(
                    f"A {name} is {largest:.6g} at the start; a training that is to be reversed "
                    f"holds absolute values below {LARGEST:g}."
                )
        self._w, self._v = to_integers(losses.start), to_integers(velocity)
        self.store = BitStore(self._v)

    @property
    def weights(self) -> Tensor:
        """The weights, in the type of the problem."""
        return to_floats(self._w).to(self._losses.start)

    @property
    def velocity(self) -> Tensor:
        """The velocities, likewise."""
        return to_floats(self._v).to(self._losses.start)

    def integers(self) -> tuple[Tensor, Tensor]:
        """The integers of weights and velocities."""
        return self._w.clone(), self._v.clone()

    def step(self, batch: int, rate: float, momentum: float) -> None:
        """Take a step.

        Raises:
            DivergedError: A number is not finite, or too large.
        """
        gradient = self._losses.gradient(self.weights, batch)
        scaled = self.store.multiply(self._v, fraction(momentum))
        self._v = scaled - self._push(gradient, momentum, batch)
        self._check(self._v, batch, "velocity")
        self._w = self._w + self._move(rate, batch)
        self._check(self._w, batch, "weight")

    def undo_move(self, rate: float) -> None:
        """Take the weights back to where they were before the step."""
        self._w = self._w - self._move(rate, 0)

    def undo_velocity(self, gradient: Tensor, momentum: float) -> None:
        """Take the velocities back, with the gradient at the weights before the step."""
        pushed = self._v + self._push(gradient, momentum, 0)
        self._v = self.store.undo(pushed, fraction(momentum))

    def _push(self, gradient: Tensor, momentum: float, batch: int) -> Tensor:
        return self._integers((1 - _effective(momentum)) * gradient.double(), batch, "gradient")

    def _move(self, rate: float, batch: int) -> Tensor:
        return self._integers(rate * to_floats(self._v), batch, "step")

    def _integers(self, values: Tensor, batch: int, name: str) -> Tensor:
        self._refuse(float(values.abs().max()), batch, name)
        return to_integers(values)

    def _check(self, integers: Tensor, batch: int, name: str) -> None:
        self._refuse(float(to_floats(integers.abs().max())), batch, name)

    def _refuse(self, largest: float, batch: int, name: str) -> None:
        if not largest < LARGEST:
            raise DivergedError(
                f"a {name} is {largest:.6g} in step {batch}; a training that is to be reversed "
                f"holds absolute values below {LARGEST:g}"
            )


def _effective(momentum: float) -> float:
    """The momentum that fixed point multiplies by."""
    return fraction(momentum) / DENOMINATOR
