"""Hypernetworks: the trained weights as a function of the hyper-parameters.

A network w_φ(λ) is trained to return, for hyper-parameters λ, the weights that minimise the
training loss L_T(w, λ). Then λ is learnt through it, on the validation loss L_V(w_φ(λ)).

- *Global*: first φ for λ drawn from a wide distribution, then λ.
- *Local*: a step of φ for λ drawn close to the present one, a step of λ, in turn.
- *Without sampling*: the same with the present λ itself, whose own steps are the only variation.

Reference: J. Lorraine, D. Duvenaud, "Stochastic Hyperparameter Optimization through
Hypernetworks", 2018, arXiv:1802.09419, algorithms 2 to 4.

*Departures*: φ is trained by Adam everywhere; the paper's code takes plain SGD when local.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from optuna_nas._checks import checked_integer
from optuna_nas.meta.problem import Problem, Tensors, checked_loss

Draw = Callable[[torch.Generator], Tensors]
"""Draws hyper-parameters."""

_SCALE = 0.01  # of the initial parameters


class Hypernetwork(nn.Module):
    """Maps hyper-parameters to weights.

    Args:
        weights: Weights, which fix names and shapes of the output.
        hyper: Hyper-parameters, likewise of the input.
        hidden: Units of a hidden layer with ReLU; None for a linear map.
        generator: Draws the initial parameters, on the CPU.
    """

    def __init__(
        self, weights: Tensors, hyper: Tensors, hidden: int | None, generator: torch.Generator
    ) -> None:
        super().__init__()
        self._shapes = {name: w.shape for name, w in weights.items()}
        self._names = tuple(hyper)
        like = next(iter(weights.values()))
        size = sum(w.numel() for w in weights.values())
        inputs = sum(h.numel() for h in hyper.values())
        widths = [inputs, size]
        if hidden is not None:
            widths.insert(1, checked_integer("hidden", hidden))

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(_SCALE * torch.randn(shape, generator=generator).to(like))

        pairs = list(pairwise(widths))
        self.matrices = nn.ParameterList([drawn(b, a) for a, b in pairs])
        self.biases = nn.ParameterList([drawn(b) for _, b in pairs])

    def forward(self, hyper: Tensors) -> dict[str, Tensor]:
        """The weights for hyper-parameters."""
        like = self.biases[0]
        x = torch.cat([hyper[name].reshape(-1).to(like) for name in self._names])
        for layer, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            x = matrix @ (x.relu() if layer else x) + bias
        parts = torch.split(x, [shape.numel() for shape in self._shapes.values()])
        return {n: p.view(s) for (n, s), p in zip(self._shapes.items(), parts, strict=True)}


def train_responses(
    network: Hypernetwork,
    problem: Problem,
    draw: Draw,
    generator: torch.Generator,
    *,
    steps: int,
    draws: int = 2,
    learning_rate: float = 1e-3,
) -> Iterator[float]:
    """Train a hypernetwork for hyper-parameters from a distribution.

    Args:
        network: The hypernetwork.
        problem: The problem.
        draw: Draws hyper-parameters.
        generator: The source of its randomness.
        steps: Steps of Adam.
        draws: Hyper-parameters of a step.
        learning_rate: The learning rate of Adam.

    Yields:
        The mean training loss of each step.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for step in range(steps):
        losses = [_training(network, problem, draw(generator), step) for _ in range(draws)]
        yield _step(optimizer, torch.stack(losses).mean())


def descend_responses(
    network: Hypernetwork,
    problem: Problem,
    hyper: Tensors,
    *,
    steps: int,
    learning_rate: float = 0.01,
) -> Iterator[dict[str, Tensor]]:
    """Learn hyper-parameters through a hypernetwork that stays as it is.

    Args:
        network: The hypernetwork.
        problem: The problem.
        hyper: The hyper-parameters to begin with.
        steps: Steps of Adam.
        learning_rate: The learning rate of Adam.

    Yields:
        The hyper-parameters after each step.
    """
    found, optimizer = _learnable(hyper, learning_rate)
    for step in range(steps):
        _step(optimizer, _validation(network, problem, found, step))
        yield {name: h.detach().clone() for name, h in found.items()}


def search_locally(
    network: Hypernetwork,
    problem: Problem,
    hyper: Tensors,
    generator: torch.Generator,
    *,
    steps: int,
    deviation: float = 1e-2,
    learning_rate: float = 1e-3,
    hyper_learning_rate: float = 0.01,
) -> Iterator[dict[str, Tensor]]:
    """Train a hypernetwork around the hyper-parameters and learn them through it, in turn.

    Args:
        network: The hypernetwork.
        problem: The problem.
        hyper: The hyper-parameters to begin with.
        generator: Draws hyper-parameters.
        steps: Steps of each.
        deviation: The standard deviation of the draws; 0 is without sampling.
        learning_rate: The learning rate of Adam for the hypernetwork.
        hyper_learning_rate: The learning rate of Adam for the hyper-parameters.

    Yields:
        The hyper-parameters after each step.
    """
    found, hyper_optimizer = _learnable(hyper, hyper_learning_rate)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for step in range(steps):
        drawn = {
            name: h.detach() + deviation * torch.randn(h.shape, generator=generator).to(h)
            for name, h in found.items()
        }
        _step(optimizer, _training(network, problem, drawn, step))
        _step(hyper_optimizer, _validation(network, problem, found, step))
        yield {name: h.detach().clone() for name, h in found.items()}


def _learnable(hyper: Tensors, rate: float) -> tuple[dict[str, Tensor], torch.optim.Adam]:
    found = {name: h.detach().clone().requires_grad_() for name, h in hyper.items()}
    return found, torch.optim.Adam(list(found.values()), lr=rate)


def _training(network: Hypernetwork, problem: Problem, hyper: Tensors, step: int) -> Tensor:
    loss = problem.training_loss(network(hyper), hyper, step)
    return checked_loss("training_loss", loss, network.biases[0].device, f"in step {step}")


def _validation(network: Hypernetwork, problem: Problem, hyper: Tensors, step: int) -> Tensor:
    loss = problem.validation_loss(network(hyper), step)
    return checked_loss("validation_loss", loss, network.biases[0].device, f"on batch {step}")


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """A step down the loss, of what the optimiser has; gradients of others are not computed."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    return float(loss.detach())
