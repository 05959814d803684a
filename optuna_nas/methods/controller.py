"""The controller of ENAS: an LSTM that makes the choices of a space, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from optuna.distributions import CategoricalDistribution
from torch import nn

from optuna_nas.methods.reinforce import Draws

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Supernet, Weights

_INITIAL_BOUND = 0.1
_COUNTED = 64  # architectures whose operations are counted for the strengths
_EVALUATED = 8


class Controller(nn.Module):
    """A policy over the architectures of a space.

    Choices of one kind, such as those of operations, share their logits' layer and embeddings.

    Args:
        supernet: The supernet of the space.
        units: Units of the LSTM, and numbers of an embedding.
        bound: Logits are within this of zero.
        operations_bound: The same, of choices of operations.
        temperature: What logits are divided by before they are bounded.
        generator: Where the initial parameters are drawn from, uniform up to 0.1 in size.

    Raises:
        TypeError: A parameter of the space is no choice.
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        units: int,
        bound: float,
        operations_bound: float,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._space, self._encode = supernet.space, supernet.encode
        self._temperature = temperature
        self._choices: dict[str, tuple[Any, ...]] = {}
        for name, distribution in self._space.distributions.items():
            if not isinstance(distribution, CategoricalDistribution):
                raise TypeError(
                    f"`space` is {self._space!r}, whose parameter {name!r} is {distribution!r}; "
                    "allowed are spaces of categorical parameters."
                )
            self._choices[name] = distribution.choices
        kinds = list(dict.fromkeys(self._choices.values()))
        self._kinds = {name: kinds.index(choices) for name, choices in self._choices.items()}
        self._bounds = [
            operations_bound if set(choices) <= set(supernet.operations) else bound
            for choices in kinds
        ]
        self.start = nn.Parameter(torch.empty(1, units))
        self.cell = nn.LSTMCell(units, units)
        self.logits = nn.ModuleList(nn.Linear(units, len(choices)) for choices in kinds)
        self.embeddings = nn.ModuleList(nn.Embedding(len(choices), units) for choices in kinds)
        with torch.no_grad():
            for parameter in self.parameters():
                drawn = torch.rand(parameter.shape, generator=generator)
                parameter.copy_(_INITIAL_BOUND * (2 * drawn - 1))

    def draw(self, generator: torch.Generator, count: int) -> Draws:
        """Draw some architectures.

        Args:
            generator: Where random numbers come from, on the CPU.
            count: How many.
        """
        chosen, log_probabilities, entropies = self._draw(generator, count)
        found = [self._encode(architecture) for architecture in self._built(chosen)]
        return Draws([*map(self._on_device, found)], log_probabilities, entropies)

    def architectures(self, generator: torch.Generator, count: int) -> list[Architecture]:
        """Draw some architectures, for what they are."""
        with torch.no_grad():
            return self._built(self._draw(generator, count)[0])

    def log_probability(self, architecture: Architecture) -> torch.Tensor:
        """The logarithm of the probability that an architecture is drawn."""
        given = [self._choices[name].index(architecture.params[name]) for name in self._choices]
        return self._draw(None, 1, torch.tensor([given]))[1][0]

    def forward(self, generator: torch.Generator, progress: float) -> Weights:
        """The weights of one architecture that is drawn."""
        return self.draw(generator, 1).weights[0]

    def strengths(self) -> Weights:
        """How often each operation of each edge is drawn, always of the same random numbers."""
        weights = self._always(_COUNTED)
        return {kind: torch.stack([w[kind] for w in weights]).mean(dim=0) for kind in weights[0]}

    def evaluated(self) -> list[Weights]:
        """Some architectures that are drawn, always of the same random numbers."""
        return self._always(_EVALUATED)

    def _always(self, count: int) -> list[Weights]:
        with torch.no_grad():
            return self.draw(torch.Generator().manual_seed(0), count).weights

    def _draw(
        self, generator: torch.Generator | None, count: int, given: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The choices `count parameters`, their log-probabilities and entropies, `count`."""
        read = self.start.expand(count, -1)
        state: tuple[torch.Tensor, torch.Tensor] | None = None
        chosen, log_probabilities, entropies = [], [], []
        for place, kind in enumerate(self._kinds.values()):
            state = self.cell(read, state)
            logits = self.logits[kind](state[0]) / self._temperature
            logs = (self._bounds[kind] * torch.tanh(logits)).log_softmax(dim=1)  # count choices
            chances = logs.exp()
            if given is None:
                drawn = torch.multinomial(chances.detach().cpu(), 1, generator=generator)
            else:
                drawn = given[:, place : place + 1]
            chosen.append(drawn)
            drawn = drawn.to(logs.device)
            log_probabilities.append(logs.gather(1, drawn)[:, 0])
            entropies.append(-(chances * logs).sum(dim=1).detach())
            read = self.embeddings[kind](drawn[:, 0])
        return (
            torch.cat(chosen, dim=1),
            torch.stack(log_probabilities).sum(dim=0),
            torch.stack(entropies).sum(dim=0),
        )

    def _built(self, chosen: torch.Tensor) -> list[Architecture]:
        return [
            self._space.architecture(
                {n: c[i] for (n, c), i in zip(self._choices.items(), row, strict=True)}
            )
            for row in chosen.tolist()
        ]

    def _on_device(self, weights: Weights) -> Weights:
        return {kind: w.to(self.start) for kind, w in weights.items()}
