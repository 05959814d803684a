"""What a network is judged by, and how sure the judgement is.

1. Of every example some figures are observed: whether its class is predicted, its squared error,
   the pixels of each class that are found.
2. From the figures of all examples follows the contribution of each one. Their mean is the score.
3. The spread of the contributions, divided by the root of their number, is the score's standard
   error: exactly for a score that is a mean (accuracy), by linearisation for a function of means
   (the delta method).

Reference: L. Wasserman, "All of Nonparametric Statistics", Springer 2006, section 2.3 (influence
functions; standard errors by the nonparametric delta method).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from optuna.study import StudyDirection
from torch import Tensor

__all__ = ["ACCURACY", "R2", "Measured", "Observe", "Score", "rmse"]

Observe: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From outputs `B ...` and targets `B ...` to the figures of each example, `B k`."""


@dataclass(frozen=True)
class Measured:
    """A score that was measured.

    Attributes:
        value: The score.
        error: Its standard error; 0 where all examples contribute the same.
        examples: How many examples it is of.
    """

    value: float
    error: float
    examples: int


def _as_they_are(observed: Tensor) -> Tensor:
    """The only figure of each example."""
    return observed[:, 0]


@dataclass(frozen=True)
class Score:
    """A score and its direction.

    Attributes:
        name: What it is called.
        direction: Whether it is to be maximised or minimised.
        observe: The figures of each example of a batch.
        contributions: From the figures of all examples, `N k`, to what each contributes, `N`.
    """

    name: str
    direction: StudyDirection
    observe: Observe
    contributions: Callable[[Tensor], Tensor] = _as_they_are

    @property
    def sign(self) -> int:
        """1 if the score is to be maximised, -1 if it is to be minimised."""
        return 1 if self.direction == StudyDirection.MAXIMIZE else -1

    def measure(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Measured:
        """Measure outputs.

        Args:
            batches: Outputs `B ...` and targets `B ...`, one batch or more.
        """
        observed = torch.cat([self.observe(outputs, targets) for outputs, targets in batches])
        contributed = self.contributions(observed.double())
        examples = len(contributed)
        value = float(contributed.sum()) / examples
        spread = float((contributed - value).square().mean())
        return Measured(value, math.sqrt(spread / examples), examples)


def _hits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Whether the class is predicted, `B 1`; outputs that are not finite predict none."""
    return ((outputs.argmax(dim=1) == targets) & outputs.isfinite().all(dim=1)).unsqueeze(1)


ACCURACY = Score("accuracy", StudyDirection.MAXIMIZE, _hits)
"""The share of examples whose class, `B` of logits `B classes`, is predicted, from 0 to 1."""


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """The squared error and the target of each example, `B 2`."""
    targets = targets.double()
    return torch.stack([(outputs.squeeze(1).double() - targets).square(), targets], dim=1)


def _explained(observed: Tensor) -> Tensor:
    squared, targets = observed[:, 0], observed[:, 1]
    error, deviations = squared.mean(), (targets - targets.mean()).square()
    variance = deviations.mean()
    ratio = error / variance
    # The ratio of two means: each example moves both of them.
    moved = ratio * (deviations - variance) - (squared - error)
    return moved / variance + 1 - ratio


R2 = Score("R2", StudyDirection.MAXIMIZE, _squares, _explained)
"""The share of the targets' variance that outputs `B 1` explain: 1 is perfect, 0 is their mean."""


def rmse(unit: float = 1.0) -> Score:
    """The root of the mean squared error of outputs `B 1`.

    Args:
        unit: What a difference of 1 between output and target stands for, such as the standard
            deviation that targets were divided by.
    """

    def contributions(observed: Tensor) -> Tensor:
        squared = observed[:, 0]
        root = squared.mean().sqrt()
        if not root:
            return squared
        return unit * (root + (squared - root.square()) / (2 * root))

    return Score("RMSE", StudyDirection.MINIMIZE, _squares, contributions)
