"""Two small problems that show what looking ahead does to a bilevel search.

1. The quadratic of the DARTS paper: L_val = αw - 2α + 1 and L_train = w² - 2αw + α². The best
   architecture, given that the weight follows it, is α = w = 1. Steps of the architecture that
   look ξ ahead, taken in turn with steps of the weight, come to rest at α = w = 2 / (1 + 2ξ).
2. A signal y = α₀ sin(w₀x) + α₁ cos(w₁x) + noise on [0, 1], where α is called the architecture.
   Training and validation data have the same best parameters up to noise, so that all ξ end close
   to each other, on different ways.

References: H. Liu, K. Simonyan, Y. Yang, "DARTS", ICLR 2019, arXiv:1806.09055, figure 2, for the
first.

*Departures*: no values are published for the second; those here are ours. The noise is taken as
normal with a standard deviation of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_nas.methods.bilevel import Unrolled, architecture_gradient

Objective = Callable[[Tensor, Tensor], Tensor]
"""A loss of the architecture and the weights."""


@dataclass(frozen=True)
class BilevelProblem:
    """A validation loss for the architecture, and a training loss for the weights.

    Attributes:
        validation_loss: What the architecture is to minimise.
        training_loss: What the weights are to minimise.
        architecture: Where the architecture starts.
        weights: Where the weights start.
    """

    validation_loss: Objective
    training_loss: Objective
    architecture: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Descent:
    """The way of a search.

    Attributes:
        architecture: The architecture after each step, the start first: `steps+1 size`.
        weights: The weights likewise.
        validation_loss: The validation loss likewise: `steps+1`.
    """

    architecture: Tensor
    weights: Tensor
    validation_loss: Tensor


def quadratic() -> BilevelProblem:
    """The quadratic problem of the DARTS paper, from its start (2, -2)."""
    return BilevelProblem(
        validation_loss=lambda a, w: (a * w - 2 * a + 1).sum(),
        training_loss=lambda a, w: (w**2 - 2 * a * w + a**2).sum(),
        architecture=torch.tensor([2.0], dtype=torch.float64),
        weights=torch.tensor([-2.0], dtype=torch.float64),
    )


def sinusoids(seed: int = 0, *, size: int = 100, noise: float = 0.1) -> BilevelProblem:
    """Fit y = sin(4x) + 0.5 cos(7x) + noise, from amplitudes 0.1 and frequencies 3 and 6.

    Args:
        seed: Seed of the data.
        size: Points to train on, and as many to validate on, uniform in [0, 1].
        noise: Standard deviation of the noise.
    """
    generator = torch.Generator().manual_seed(seed)

    def signal(a: Tensor, w: Tensor, x: Tensor) -> Tensor:
        return a[0] * torch.sin(w[0] * x) + a[1] * torch.cos(w[1] * x)

    def loss() -> Objective:
        x = torch.rand(size, generator=generator, dtype=torch.float64)
        errors = noise * torch.randn(size, generator=generator, dtype=torch.float64)
        true_a, true_w = x.new_tensor([1.0, 0.5]), x.new_tensor([4.0, 7.0])
        y = signal(true_a, true_w, x) + errors
        return lambda a, w: ((signal(a, w, x) - y) ** 2).mean()

    return BilevelProblem(
        validation_loss=loss(),
        training_loss=loss(),
        architecture=torch.tensor([0.1, 0.1], dtype=torch.float64),
        weights=torch.tensor([3.0, 6.0], dtype=torch.float64),
    )


def descend(
    problem: BilevelProblem,
    xi: float,
    steps: int,
    *,
    architecture_rate: float = 0.05,
    weight_rate: float = 0.1,
) -> Descent:
    """Take steps of the architecture and of the weights in turn, by plain gradient descent.

    Args:
        problem: The problem.
        xi: How far the architecture's steps look ahead; 0 is the first order.
        steps: The number of steps of each.
        architecture_rate: Learning rate of the architecture.
        weight_rate: Learning rate of the weights.
    """
    a = problem.architecture.clone().requires_grad_()
    w = problem.weights.clone().requires_grad_()

    def validation_loss() -> Tensor:
        return problem.validation_loss(a, w)

    def training_loss() -> Tensor:
        return problem.training_loss(a, w)

    path = [(a.detach().clone(), w.detach().clone(), validation_loss().detach())]
    for _ in range(steps):
        [gradient] = architecture_gradient(
            [a],
            [w],
            validation_loss=validation_loss,
            training_loss=training_loss,
            unrolled=Unrolled(xi) if xi else None,
        )
        with torch.no_grad():
            a -= architecture_rate * gradient
        [gradient] = torch.autograd.grad(training_loss(), [w])
        with torch.no_grad():
            w -= weight_rate * gradient
        path.append((a.detach().clone(), w.detach().clone(), validation_loss().detach()))
    architecture, weights, losses = (torch.stack(parts) for parts in zip(*path, strict=True))
    return Descent(architecture, weights, losses)
