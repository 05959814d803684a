"""How a policy learns from a batch of architectures and their advantages.

The *advantage* is the reward minus a baseline, the moving average of the rewards.

- *reinforce*: one step along `A * grad log p` (Williams 1992; Zoph & Le 2016).
- *ppo*: several steps on one batch. The ratio of a choice's probability to the one it was made
  with counts only up to `1 +- clip` (Schulman et al. 2017; NASNet).

Both add the entropy of all choices, times a weight, to what is made large. The optimiser is Adam.

References: B. Zoph, Q. V. Le, ICLR 2017, arXiv 1611.01578; J. Schulman et al., *Proximal Policy
Optimization Algorithms*, 2017, arXiv 1707.06347; B. Zoph et al., CVPR 2018, arXiv 1707.07012.
*Departures*: ratios are of single choices, as in PPO, not of whole architectures. The entropy is
that of the whole distribution at each step, where a known implementation takes only the chosen
action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optuna_nas._checks import checked_integer, checked_share
from optuna_nas.samplers._policies import Policy

_LEAST = 1e-12
"""Probabilities have a logarithm."""


class Adam:
    """The optimiser, for one vector of weights.

    Args:
        learning_rate: The size of a step.
        decays: Of the moving averages of the gradient and of its square.
    """

    def __init__(self, learning_rate: float, decays: tuple[float, float] = (0.9, 0.999)) -> None:
        self._learning_rate, self._decays = learning_rate, decays
        self._mean: np.ndarray | float = 0.0
        self._square: np.ndarray | float = 0.0
        self._steps = 0

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        """Move the weights, in place, against the gradient."""
        self._steps += 1
        first, second = self._decays
        self._mean = first * self._mean + (1 - first) * gradient
        self._square = second * self._square + (1 - second) * gradient**2
        mean = self._mean / (1 - first**self._steps)
        square = self._square / (1 - second**self._steps)
        weights -= self._learning_rate * mean / (np.sqrt(square) + 1e-8)


class PolicyUpdate(Protocol):
    """Lets a policy learn from a batch."""

    def __call__(
        self,
        policy: Policy,
        optimizer: Adam,
        actions: np.ndarray,
        advantages: np.ndarray,
        entropy_weight: float,
    ) -> None:
        """Change the policy's weights.

        Args:
            policy: The policy.
            optimizer: Takes the steps.
            actions: What was chosen, `B x T`.
            advantages: How much better than expected it was, `B`.
            entropy_weight: The weight of the entropy.
        """


def reinforce(
    policy: Policy,
    optimizer: Adam,
    actions: np.ndarray,
    advantages: np.ndarray,
    entropy_weight: float,
) -> None:
    """Take one step along the gradient of the mean of `A log p`, plus the entropy."""
    found = policy.probabilities(actions)
    factors = [advantages] * len(found)
    gradient = policy.gradient(_slopes(found, actions, factors, entropy_weight))
    optimizer.step(policy.weights, gradient)


@dataclass(frozen=True)
class PPO:
    """Several steps on a batch with clipped ratios.

    Args:
        clip: By how much a ratio may differ from 1.
        epochs: The steps.

    Raises:
        ValueError: `clip` is not from 0 to below 1, or `epochs` is below 1.
    """

    clip: float = 0.2
    epochs: int = 10

    def __post_init__(self) -> None:
        checked_share("clip", self.clip)
        checked_integer("epochs", self.epochs)

    def __call__(
        self,
        policy: Policy,
        optimizer: Adam,
        actions: np.ndarray,
        advantages: np.ndarray,
        entropy_weight: float,
    ) -> None:
        """Take the steps, all on the same batch."""
        before = [_chosen(p, actions[:, t]) for t, p in enumerate(policy.probabilities(actions))]
        for _ in range(self.epochs):
            found = policy.probabilities(actions)
            ratios = [_chosen(p, actions[:, t]) / before[t] for t, p in enumerate(found)]
            factors = [self._factor(ratio, advantages) for ratio in ratios]
            gradient = policy.gradient(_slopes(found, actions, factors, entropy_weight))
            optimizer.step(policy.weights, gradient)

    def _factor(self, ratio: np.ndarray, advantages: np.ndarray) -> np.ndarray:
        """What multiplies `grad log p`: nothing where the ratio went too far already."""
        too_far = np.where(advantages > 0, ratio > 1 + self.clip, ratio < 1 - self.clip)
        return np.where(too_far, 0.0, ratio * advantages)


UPDATES: dict[str, Callable[[], PolicyUpdate]] = {"ppo": PPO, "reinforce": lambda: reinforce}


def entropy(probabilities: Sequence[np.ndarray], actions: np.ndarray) -> np.ndarray:
    """The entropy of all choices of each architecture, `B`, in nats; absent ones have none."""
    each = np.stack([-(p * _log(p)).sum(axis=1) for p in probabilities], axis=1)
    return np.asarray(np.where(actions >= 0, each, 0.0).sum(axis=1))


def _slopes(
    found: Sequence[np.ndarray],
    actions: np.ndarray,
    factors: Sequence[np.ndarray],
    entropy_weight: float,
) -> list[np.ndarray]:
    """The gradient by the logits of the mean of `-factor * log p - weight * entropy`."""
    slopes = []
    for t, p in enumerate(found):
        log = _log(p)
        slope = factors[t][:, None] * (p - np.eye(p.shape[1])[actions[:, t]])
        slope += entropy_weight * p * (log - (p * log).sum(axis=1, keepdims=True))
        slopes.append(np.where(actions[:, t, None] >= 0, slope, 0.0) / len(actions))
    return slopes


def _chosen(probabilities: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(probabilities[np.arange(len(actions)), actions], _LEAST))


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(probabilities, _LEAST)))
