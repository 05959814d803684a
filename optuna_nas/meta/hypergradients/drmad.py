"""Hypergradients along a straight line, in place of the way that the training took.

1. Train from w_0 to w_T, and keep these two only.
2. Go back as `reverse_mode` does, but through w_t = (1 - t/T) w_0 + (t/T) w_T, with the velocity
   v_t = (w_t - w_{t-1}) / α_t.

Reference: J. Fu, H. Luo, J. Feng, K. H. Low, T.-S. Chua, "DrMAD: Distilling Reverse-Mode Automatic
Differentiation for Optimizing Hyperparameters of Deep Neural Networks", IJCAI 2016,
arXiv:1601.00917.

*Departures*: the line goes from the first to the last weights themselves, not from .001 to .999 of
the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna_nas.meta.hypergradients.base import (
    Backward,
    Hypergradient,
    Training,
    descend,
    start_velocity,
)
from optuna_nas.meta.problem import Losses, Problem, Tensors


@dataclass(frozen=True)
class DrMAD:
    """Train, and go back along a straight line.

    It is exact if the training goes straight with constant steps, or if the second derivatives of
    the training loss are constant (then in `hyper` only); elsewhere it is an approximation whose
    error is not known.

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
        """Train, and compute the gradient; see :class:`HypergradientMethod`."""
        losses = Losses(problem, weights, hyper)
        end, last_velocity = descend(losses, training, velocity)
        value, gradient = losses.validation_gradient(end, validation_batch)
        backward = Backward(losses, gradient)
        move = (end - losses.start) / training.steps
        steps = list(training)
        rates = training.rates.tolist()
        for t in range(training.steps, 0, -1):
            batch, rate, momentum = steps[t - 1]
            backward.through_move(move / rate, rate)
            g = backward.through_gradient(losses.start + (t - 1) * move, batch, momentum)
            before = move / rates[t - 2] if t > 1 else start_velocity(losses, velocity)
            backward.through_momentum(before, g, momentum)
        bits = 16.0 * end.element_size()
        return backward.result(value, end, last_velocity, training, bits)
