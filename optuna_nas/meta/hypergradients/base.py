"""What hypergradients have in common: the training they differentiate, and what they return.

A training takes steps t = 0, 1, ... of gradient descent with momentum, on the batch t:

    v ← γ_t v - (1 - γ_t) ∇L(w);   w ← w + α_t v
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from optuna_nas._checks import checked_integer
from optuna_nas.meta.problem import Losses, Problem, Tensors


@dataclass(frozen=True)
class Training:
    """The steps of a training.

    Args:
        steps: How many.
        learning_rate: The learning rate α, one number or one for each step. A step is (1 - γ)
            times as long as that of `torch.optim.SGD`.
        momentum: The momentum γ, from 0 to below 1, likewise.
        first_batch: The number of the first step's batch.

    Raises:
        ValueError: A number is out of range, or there are not as many as steps.
    """

    steps: int
    learning_rate: float | Sequence[float] | Tensor = 0.1
    momentum: float | Sequence[float] | Tensor = 0.9
    first_batch: int = 0

    def __post_init__(self) -> None:
        checked_integer("steps", self.steps)
        checked_integer("first_batch", self.first_batch, 0)
        rates, momenta = self.rates, self.momenta
        if not bool(((rates > 0) & rates.isfinite()).all()):
            raise ValueError(
                f"`learning_rate` is {self.learning_rate!r}; allowed are positive numbers."
            )
        if not bool(((momenta >= 0) & (momenta < 1)).all()):
            raise ValueError(
                f"`momentum` is {self.momentum!r}; allowed are numbers from 0 to below 1."
            )

    @property
    def rates(self) -> Tensor:
        """The learning rate of each step, double precision on the CPU."""
        return self._by_step("learning_rate", self.learning_rate)

    @property
    def momenta(self) -> Tensor:
        """The momentum of each step, double precision on the CPU."""
        return self._by_step("momentum", self.momentum)

    def __iter__(self) -> Iterator[tuple[int, float, float]]:
        """The batch, the learning rate and the momentum of each step."""
        batches = range(self.first_batch, self.first_batch + self.steps)
        return zip(batches, self.rates.tolist(), self.momenta.tolist(), strict=True)

    def _by_step(self, argument: str, given: float | Sequence[float] | Tensor) -> Tensor:
        values = torch.as_tensor(given, dtype=torch.float64).detach().cpu()
        if values.shape not in ((), (1,), (self.steps,)):
            raise ValueError(
                f"`{argument}` has the shape {tuple(values.shape)}; allowed are one number and "
                f"one for each of {self.steps} steps."
            )
        return values.expand(self.steps)


@dataclass(frozen=True)
class Hypergradient:
    """The gradient of the validation loss after a training, and how the training ended.

    Attributes:
        validation_loss: The validation loss after the last step.
        hyper: The gradient in each hyper-parameter of the problem.
        learning_rate: The gradient in the learning rate of each step; None if the method has none.
        momentum: The gradient in the momentum of each step, likewise.
        weights: The weights after the last step.
        velocity: The velocities after the last step, by name.
        bits_per_weight: What was kept of the way there for the way back, in bits. The graphs of
            autograd, which unrolling keeps as well, are not counted.
    """

    validation_loss: float
    hyper: dict[str, Tensor]
    learning_rate: Tensor | None
    momentum: Tensor | None
    weights: dict[str, Tensor]
    velocity: dict[str, Tensor]
    bits_per_weight: float


class HypergradientMethod(Protocol):
    """How a hypergradient is computed."""

    @property
    def window(self) -> int | None:
        """How many steps are differentiated at a time, along one training that goes on.

        None for whole trainings, each from new weights.
        """
        ...

    @property
    def tunes_training(self) -> bool:
        """Whether there are gradients in learning rates and momenta."""
        ...

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
        """Train, and compute the gradient.

        Args:
            problem: The problem.
            weights: The weights to start from; they are left as they are.
            hyper: The hyper-parameters of the problem.
            training: The steps.
            velocity: The velocities to start from; None is zero.
            validation_batch: The batch of the validation loss.

        Raises:
            DivergedError: A loss or a gradient is not finite; the message has the step.
            ValueError: The problem, the weights or the hyper-parameters are not what they should
                be, or a hyper-parameter has no effect.
        """
        ...


def start_velocity(losses: Losses, velocity: Tensors | None) -> Tensor:
    """The velocities to start from, as a vector."""
    return torch.zeros_like(losses.start) if velocity is None else losses.flat(velocity).detach()


def descend(losses: Losses, training: Training, velocity: Tensors | None) -> tuple[Tensor, Tensor]:
    """Train, and keep nothing of the way: the weights and the velocities at the end."""
    w, v = losses.start, start_velocity(losses, velocity)
    for batch, rate, momentum in training:
        v = momentum * v - (1 - momentum) * losses.gradient(w, batch)
        w = w + rate * v
    return w, v


class Backward:
    """The pass back through the steps, which the reversed and the approximate training share.

    Args:
        losses: The losses.
        gradient: The gradient of the validation loss in the last weights.
    """

    def __init__(self, losses: Losses, gradient: Tensor) -> None:
        self._losses = losses
        self._weights = gradient
        self._velocity = torch.zeros_like(gradient)
        self.hyper = {name: torch.zeros_like(h) for name, h in losses.hyper.items()}
        self.rates: list[Tensor] = []
        self.momenta: list[Tensor] = []

    def through_move(self, velocity: Tensor, rate: float) -> None:
        """Go back through w ← w + α v, with the velocity of then."""
        self.rates.append(self._weights @ velocity)
        self._velocity = self._velocity + rate * self._weights

    def through_gradient(self, weights: Tensor, batch: int, momentum: float) -> Tensor:
        """Go back through the gradient at the weights before the step; return the gradient."""
        gradient, curvature, mixed = self._losses.products(weights, self._velocity, batch)
        self._weights = self._weights - (1 - momentum) * curvature
        for name, product in mixed.items():
            self.hyper[name] -= (1 - momentum) * product
        return gradient

    def through_momentum(self, velocity: Tensor, gradient: Tensor, momentum: float) -> None:
        """Go back through v ← γ v - (1 - γ) g, with the velocity before it."""
        self.momenta.append(self._velocity @ (velocity + gradient))
        self._velocity = momentum * self._velocity

    def result(
        self,
        validation_loss: float,
        weights: Tensor,
        velocity: Tensor,
        training: Training,
        bits_per_weight: float,
    ) -> Hypergradient:
        """The hypergradient, after all steps.

        Raises:
            ValueError: A hyper-parameter had no effect.
        """
        self._losses.check_used(training.steps)
        return Hypergradient(
            validation_loss=validation_loss,
            hyper=self.hyper,
            learning_rate=torch.stack(self.rates[::-1]),
            momentum=torch.stack(self.momenta[::-1]),
            weights=self._losses.named(weights),
            velocity=self._losses.named(velocity),
            bits_per_weight=bits_per_weight,
        )
