"""Parametric complexity control: networks for every strength λ of a regulariser, trained once.

1. Each tensor of weights has a normal distribution q, whose means and logarithms of deviations are
   curves of λ' = (ln λ - ln λ_low) / (ln λ_high - ln λ_low), linear or piecewise linear.
2. In each step a few λ are drawn, log-uniform, and weights from q; the loss is the mean
   cross-entropy of a batch and one of three regularisers, with N training examples:

       scaled_divergence   λ KL(q ‖ p) / N,  p standard normal
       scaled_prior        KL(q ‖ p_λ) / N,  p_λ normal with the deviation λ^(-1/2)
       weight_norm         λ ‖μ‖² / N,       and the means μ themselves as weights

3. For any λ, the weights with the smallest μ²/σ² are of the least use and can be set to zero; with
   `weight_norm`, those with the smallest μ².

Reference: O. S. Grebenkova, O. Y. Bakhteev, V. V. Strijov, "Variational Deep Learning Model
Optimization with Complexity Control", Informatics and Applications, 2021.

*Departures*: the norm is squared, as in the paper; its code has ‖μ‖. Pivots are as many as wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from optuna_nas._checks import checked_integer, checked_positive
from optuna_nas._choices import choose
from optuna_nas.meta.network_problem import Examples
from optuna_nas.trials.divergence import DivergedError

_FIRST_LOG_DEVIATION = -3.0


class Curve(nn.Module):
    """A tensor for each place λ' in [0, 1]: linear between evenly spaced pivots.

    Args:
        pivots: The tensors at the pivots, `P ...`, the first at 0 and the last at 1.

    Raises:
        ValueError: There are fewer than two.
    """

    def __init__(self, pivots: Tensor) -> None:
        super().__init__()
        checked_integer("pivots", len(pivots), 2)
        self.pivots = nn.Parameter(pivots.clone())

    def forward(self, place: float) -> Tensor:
        """The tensor at a place."""
        last = len(self.pivots) - 1
        left = min(int(place * last), last - 1)
        share = place * last - left
        return (1 - share) * self.pivots[left] + share * self.pivots[left + 1]


def divergence(mean: Tensor, log_deviation: Tensor, prior_deviation: float = 1.0) -> Tensor:
    """KL(q ‖ p) of independent normals from a normal around zero, in nats, summed."""
    scaled = (mean.square() + (2 * log_deviation).exp()) / prior_deviation**2
    return (scaled / 2 - log_deviation + math.log(prior_deviation) - 0.5).sum()


Penalty: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]
"""Of means, logarithms of deviations and λ, for one tensor; it is divided by N."""


@dataclass(frozen=True)
class Regulariser:
    """What pays for complexity.

    Attributes:
        penalty: What is added to the loss.
        is_variational: Whether weights are drawn; otherwise they are the means.
    """

    penalty: Penalty
    is_variational: bool


REGULARISERS: Mapping[str, Regulariser] = {
    "scaled_divergence": Regulariser(lambda m, s, strength: strength * divergence(m, s), True),
    "scaled_prior": Regulariser(lambda m, s, strength: divergence(m, s, strength**-0.5), True),
    "weight_norm": Regulariser(lambda m, s, strength: strength * m.square().sum(), False),
}
"""The regularisers by name."""


class ComplexityCurve:
    """A classifier for every strength of a regulariser; see the module.

    Args:
        network: The network, which gives shapes and initial means.
        train: The training examples.
        regulariser: A name of `REGULARISERS`.
        pivots: Pivots of the curves, 2 or more; 2 is linear.
        low: The smallest λ.
        high: The largest λ.
        seed: Seed of batches, λ and weights.

    Raises:
        ValueError: A number is out of range, or the regulariser is unknown.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Examples,
        *,
        regulariser: str = "scaled_divergence",
        pivots: int = 2,
        low: float = 1e-3,
        high: float = 1e2,
        seed: int = 0,
    ) -> None:
        self.low, self.high = checked_positive("low", low), checked_positive("high", high)
        if low >= high:
            raise ValueError(f"`low` is {low!r}; allowed are numbers below `high`, {high!r}.")
        checked_integer("pivots", pivots, 2)
        self.regulariser = choose("regulariser", regulariser, REGULARISERS)
        self._network, self._train = network, train
        self._generator = torch.Generator().manual_seed(checked_integer("seed", seed, 0))
        weights = {name: w.detach() for name, w in network.named_parameters()}
        self.means = {n: Curve(torch.stack([w] * pivots)) for n, w in weights.items()}
        self.log_deviations = {
            n: Curve(torch.full((pivots, *w.shape), _FIRST_LOG_DEVIATION).to(w))
            for n, w in weights.items()
        }

    def parameters(self) -> list[nn.Parameter]:
        """What is trained: the means, and the deviations if the regulariser has them."""
        used = [*self.means.values()]
        if self.regulariser.is_variational:
            used += self.log_deviations.values()
        return [curve.pivots for curve in used]

    def place(self, strength: float) -> float:
        """Where λ lies from 0 to 1, on a logarithmic scale.

        Raises:
            ValueError: It is not between `low` and `high`.
        """
        if not self.low <= strength <= self.high:
            raise ValueError(
                f"`strength` is {strength!r}; allowed are numbers from {self.low:g} to "
                f"{self.high:g}."
            )
        width = math.log(self.high) - math.log(self.low)
        return (math.log(strength) - math.log(self.low)) / width

    def train(
        self, steps: int, *, batch_size: int = 256, draws: int = 5, learning_rate: float = 5e-4
    ) -> Iterator[float]:
        """Train for all λ.

        Args:
            steps: Steps of Adam.
            batch_size: Examples of a step; at most all.
            draws: How many λ are drawn for a step.
            learning_rate: The learning rate of Adam.

        Yields:
            The loss of each step.

        Raises:
            DivergedError: It is not finite.
        """
        optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        inputs, labels = self._train
        for step in range(steps):
            order = torch.randperm(len(labels), generator=self._generator)[:batch_size]
            x, y = inputs[order.to(inputs.device)], labels[order.to(labels.device)]
            places = torch.rand(draws, generator=self._generator).tolist()
            losses = [self.loss(x, y, self._strength(place)) for place in places]
            loss = torch.stack(losses).mean()
            if not bool(loss.isfinite()):
                raise DivergedError(f"the loss is {float(loss.detach())} in step {step}")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_value_(self.parameters(), 1.0)
            optimizer.step()
            yield float(loss.detach())

    def loss(self, inputs: Tensor, labels: Tensor, strength: float) -> Tensor:
        """The cross-entropy of a batch and the regulariser at λ, with weights that are drawn."""
        place, weights = self.place(strength), {}
        total = inputs.new_zeros(())
        for name, curve in self.means.items():
            mean, log_deviation = curve(place), self.log_deviations[name](place)
            total = total + self.regulariser.penalty(mean, log_deviation, strength)
            weights[name] = mean
            if self.regulariser.is_variational:
                noise = torch.randn(mean.shape, generator=self._generator).to(mean)
                weights[name] = mean + log_deviation.exp() * noise
        logits = torch.func.functional_call(self._network, weights, (inputs,))
        return F.cross_entropy(logits, labels) + total / len(self._train[1])

    def weights(self, strength: float, pruned: float = 0.0) -> dict[str, Tensor]:
        """The mean weights at λ, with a share of each tensor set to zero: the least useful ones.

        Raises:
            ValueError: λ or the share is out of range.
        """
        if not 0 <= pruned <= 1:
            raise ValueError(f"`pruned` is {pruned!r}; allowed are numbers from 0 to 1.")
        place, found = self.place(strength), {}
        with torch.no_grad():
            for name, curve in self.means.items():
                mean = curve(place).clone()
                usefulness = 2 * mean.abs().log()
                if self.regulariser.is_variational:
                    usefulness = usefulness - 2 * self.log_deviations[name](place)
                least = usefulness.view(-1).argsort()[: round(pruned * mean.numel())]
                mean.view(-1)[least] = 0.0
                found[name] = mean
        return found

    def accuracy(self, examples: Examples, strength: float, pruned: float = 0.0) -> float:
        """The accuracy of the mean weights at λ, after pruning, from 0 to 1."""
        inputs, labels = examples
        with torch.no_grad():
            weights = self.weights(strength, pruned)
            logits = torch.func.functional_call(self._network, weights, (inputs,))
            return float((logits.argmax(1) == labels).double().mean())

    def _strength(self, place: float) -> float:
        strength = math.exp((1 - place) * math.log(self.low) + place * math.log(self.high))
        return min(max(strength, self.low), self.high)
