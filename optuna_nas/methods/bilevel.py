"""The gradient of an architecture whose weights are themselves being learnt.

The architecture α is to minimise the validation loss of the weights that minimise the training
loss. These are approximated by one step of theirs, w' = w - ξ·(direction of the weights' step):

1. first order (ξ = 0): ∇α L_val(w, α);
2. second order: ∇α L_val(w', α) - ξ·∇α∇w L_train(w, α)·v with v = ∇w' L_val(w', α). The product
   is a difference of two gradients: (∇α L_train(w + εv) - ∇α L_train(w - εv)) / 2ε, ε = 0.01/‖v‖.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055, equations 6 to 8.

*Departures*: the weights are put back from a copy, to the last bit, where the reference code adds
and subtracts the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

_EPSILON = 0.01

Loss: TypeAlias = Callable[[], Tensor]
"""A loss on a fixed batch, at the weights and the architecture as they are when it is called."""


@dataclass(frozen=True)
class Unrolled:
    """The step of the weights that the second order looks ahead.

    Attributes:
        xi: The length ξ of the step, the learning rate of the weights.
        momentum: The momentum of their optimiser.
        weight_decay: The weight decay of their optimiser.
        velocities: The momentum buffers of the weights; None for weights without.
    """

    xi: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    velocities: Sequence[Tensor | None] | None = None

    @classmethod
    def of(cls, optimizer: torch.optim.SGD, xi: float) -> Unrolled:
        """The next step of an optimiser with one group of weights, with another length."""
        [group] = optimizer.param_groups
        velocities = [optimizer.state[p].get("momentum_buffer") for p in group["params"]]
        return cls(xi, group["momentum"], group["weight_decay"], velocities)

    def take(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Take the step, in place."""
        velocities = self.velocities or [None] * len(weights)
        with torch.no_grad():
            for weight, gradient, velocity in zip(weights, gradients, velocities, strict=True):
                direction = gradient + self.weight_decay * weight
                if velocity is not None:
                    direction += self.momentum * velocity
                weight -= self.xi * direction


def architecture_gradient(
    architecture: Sequence[Tensor],
    weights: Sequence[Tensor],
    *,
    validation_loss: Loss,
    training_loss: Loss,
    unrolled: Unrolled | None = None,
) -> list[Tensor]:
    """Compute the gradient of the architecture; the weights are as before when it returns.

    Args:
        architecture: The parameters of the architecture.
        weights: The weights of the network.
        validation_loss: The loss that the architecture is to minimise.
        training_loss: The loss that the weights are to minimise; the second order calls it three
            times, with the same batch and the same random numbers.
        unrolled: The step of the weights to look ahead; None for the first order.

    Returns:
        The gradient of each parameter of the architecture.
    """
    if unrolled is None:
        with constant(weights):
            return gradients_of(validation_loss(), architecture)
    ahead = gradients_of(training_loss(), weights)
    with _restored(weights) as saved:
        unrolled.take(weights, ahead)
        gradients = gradients_of(validation_loss(), [*architecture, *weights])
        direct, v = gradients[: len(architecture)], gradients[len(architecture) :]
        norm = float(torch.linalg.vector_norm(torch.stack([g.norm() for g in v])))
        if norm == 0.0:
            return direct
        epsilon = _EPSILON / norm
        with constant(weights):
            differences = [torch.zeros_like(a) for a in architecture]
            for sign in (1.0, -1.0):
                with torch.no_grad():
                    for weight, start, direction in zip(weights, saved, v, strict=True):
                        weight.copy_(start).add_(direction, alpha=sign * epsilon)
                for total, gradient in zip(
                    differences, gradients_of(training_loss(), architecture), strict=True
                ):
                    total.add_(gradient, alpha=sign)
    factor = unrolled.xi / (2 * epsilon)
    return [g - factor * d for g, d in zip(direct, differences, strict=True)]


def gradients_of(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients; zeros for parameters that the loss does not depend on."""
    if not loss.requires_grad:
        return [torch.zeros_like(p) for p in parameters]
    return list(torch.autograd.grad(loss, parameters, materialize_grads=True))


@contextmanager
def constant(weights: Sequence[Tensor]) -> Iterator[None]:
    """Spare the work for the gradients of these weights."""
    needed = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for weight, need in zip(weights, needed, strict=True):
            weight.requires_grad_(need)


@contextmanager
def _restored(weights: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Keep copies of the weights, and put them back at the end."""
    saved = [weight.detach().clone() for weight in weights]
    try:
        yield saved
    finally:
        with torch.no_grad():
            for weight, start in zip(weights, saved, strict=True):
                weight.copy_(start)
