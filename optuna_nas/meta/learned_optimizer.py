"""A learned optimiser: an LSTM that reads gradients and writes steps, the same for every weight.

1. A gradient g is read as (log|g| / p, sgn g) where |g| ≥ e^(-p), and as (-1, e^p g) elsewhere.
2. Two layers of an LSTM of 20 units each, with a state for every weight and 5,301 parameters for
   all of them together, write a number; a hundredth of it is added to the weight.
3. It is trained on problems such as one's own: the sum of the losses of 20 steps is differentiated
   through the steps, with gradients taken as they are, and Adam takes a step; then the next 20.

Reference: M. Andrychowicz et al., "Learning to Learn by Gradient Descent by Gradient Descent",
NeurIPS 2016, arXiv:1606.04474, sections 2 and 3 and appendix A.

*Departures*: p is 5, as in the authors' code; the paper has 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from optuna_nas._checks import checked_integer, checked_positive
from optuna_nas.trials.divergence import DivergedError

_UNITS, _LAYERS = 20, 2
_P = 5.0
_STEP = 0.01

State: TypeAlias = tuple[Tensor, Tensor]
"""What the layers pass on and what their cells hold, each `layers weights units`."""

Loss: TypeAlias = Callable[[Tensor], Tensor]
"""A loss of a vector of weights."""

DrawProblem: TypeAlias = Callable[[torch.Generator], tuple[Loss, Tensor]]
"""Draws a problem: its loss, and weights to start from, a vector."""


def preprocess(gradient: Tensor, p: float = _P) -> Tensor:
    """Gradients as the network reads them: `n` -> `n 2`."""
    size = gradient.abs()
    large = torch.stack([size.clamp(min=1e-38).log() / p, gradient.sign()], -1)
    small = torch.stack([torch.full_like(gradient, -1.0), gradient * torch.e**p], -1)
    return torch.where((size >= torch.e**-p)[..., None], large, small)


class UpdateRule(nn.Module):
    """The network, which writes a step for every weight from its gradient.

    Args:
        generator: Draws its parameters, on the CPU; None leaves them at zero, to be loaded.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, _UNITS, _LAYERS)
        self.output = nn.Linear(_UNITS, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                if generator is None:
                    parameter.zero_()
                else:
                    bound = _UNITS**-0.5
                    parameter.copy_(
                        bound * (2 * torch.rand(parameter.shape, generator=generator) - 1)
                    )

    def start(self, weights: Tensor) -> State:
        """The state before the first step of so many weights."""
        zeros = weights.new_zeros(_LAYERS, weights.numel(), _UNITS)
        return zeros, zeros

    def forward(self, gradient: Tensor, state: State) -> tuple[Tensor, State]:
        """The step for each weight, to be added, `n`, and the next state."""
        hidden, state = self.lstm(preprocess(gradient)[None], state)
        return _STEP * self.output(hidden[0])[:, 0], state

    def save(self, path: str | Path) -> None:
        """Write the network to a safetensors file."""
        save_file(self.state_dict(), str(path))

    @classmethod
    def load(cls, path: str | Path) -> UpdateRule:
        """Read a network.

        Raises:
            ValueError: The file is no such network.
        """
        rule = cls()
        try:
            found = load_file(str(path))
            rule.load_state_dict(found)
        except Exception as error:
            raise ValueError(f"{str(path)!r} is no learned optimiser: {error}") from error
        if not all(bool(tensor.isfinite().all()) for tensor in found.values()):
            raise ValueError(f"{str(path)!r} has numbers that are not finite.")
        return rule


class LearnedOptimizer(torch.optim.Optimizer):
    """An optimiser that moves weights as a trained network says.

    It has no learning rate: the network has learnt how far to go, on the problems it was trained
    on, and for about as many steps.

    Args:
        parameters: The weights.
        rule: The network, or the file that it was saved to.
    """

    def __init__(self, parameters: Any, rule: UpdateRule | str | Path) -> None:
        super().__init__(parameters, {})
        self.rule = rule if isinstance(rule, UpdateRule) else UpdateRule.load(rule)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step.

        Args:
            closure: Computes the loss and the gradients, if they are not there yet.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                known = self.state[weight]
                state = (known["hidden"], known["cell"]) if known else self.rule.start(weight)
                step, (known["hidden"], known["cell"]) = self.rule(weight.grad.reshape(-1), state)
                weight.add_(step.view_as(weight))
        return loss


def quadratics(generator: torch.Generator, size: int = 10) -> tuple[Loss, Tensor]:
    """Draw the problem ‖W x - y‖², with W, `size size`, y and the first x standard normal."""
    w = torch.randn(size, size, generator=generator)
    y = torch.randn(size, generator=generator)
    start = torch.randn(size, generator=generator)
    return lambda x: (w @ x - y).square().sum(), start


def meta_train(
    rule: UpdateRule,
    draw: DrawProblem,
    generator: torch.Generator,
    *,
    episodes: int,
    problems: int = 16,
    steps: int = 100,
    unroll: int = 20,
    learning_rate: float = 1e-3,
) -> Iterator[float]:
    """Train a rule on problems.

    Args:
        rule: The network.
        draw: Draws problems, all of the same number of weights.
        generator: The source of their randomness.
        episodes: How often problems are drawn.
        problems: Problems of an episode, which are solved side by side.
        steps: Steps of the optimiser on each.
        unroll: Steps that are differentiated at a time.
        learning_rate: The learning rate of Adam for the rule.

    Yields:
        The mean loss over the steps of each episode.

    Raises:
        DivergedError: The loss is not finite.
        ValueError: A number is out of range.
    """
    for name, number in (("problems", problems), ("steps", steps), ("unroll", unroll)):
        checked_integer(name, number)
    checked_positive("learning_rate", learning_rate)
    optimizer = torch.optim.Adam(rule.parameters(), lr=learning_rate)
    for _ in range(episodes):
        losses, starts = zip(*(draw(generator) for _ in range(problems)), strict=True)
        x = torch.stack(starts)
        state, total = rule.start(x), 0.0
        for first in range(0, steps, unroll):
            x, state = x.detach(), (state[0].detach(), state[1].detach())
            heard = x.new_zeros(())
            for step in range(first, min(first + unroll, steps)):
                with torch.enable_grad():
                    at = x.detach().requires_grad_()
                    [gradient] = torch.autograd.grad(_sum(losses, at), [at])
                move, state = rule(gradient.reshape(-1), state)
                x = x + move.view_as(x)
                heard = heard + _sum(losses, x) / problems
                if not bool(heard.isfinite()):
                    raise DivergedError(f"the loss of the problems is not finite in step {step}")
            optimizer.zero_grad()
            heard.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(heard.detach())
        yield total / steps


def _sum(losses: tuple[Loss, ...], x: Tensor) -> Tensor:
    return torch.stack([loss(row) for loss, row in zip(losses, x, strict=True)]).sum()
