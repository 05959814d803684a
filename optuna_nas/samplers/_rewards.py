"""Rewards: what a policy or a table is to make large, from the values of trials.

A reward is a function of the trials that ended so far, the last of which it is for. So it never
changes afterwards, and what was learnt from it can be learnt again.

- *rank*: the share of the earlier trials that it is better than, ties and trials that cannot be
  compared by half; from 0 to 1 in whatever unit the values are, for any number of objectives.
- *score*: the value itself, with the sign that makes higher better.
- *cubed*: its third power, for accuracies from 0 to 1 (Zoph & Le 2016).

Reference: B. Zoph, Q. V. Le, *Neural Architecture Search with Reinforcement Learning*, ICLR 2017,
arXiv 1611.01578. *Departure*: they have no rank. It needs no unit, and tells good ones apart as
well as bad ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_nas.samplers._outcomes import Outcome

Reward = Callable[[np.ndarray, np.ndarray], float]
"""Maps scores, `n x k`, and violations of constraints, `n`, to the reward of the last trial."""


def rank(scores: np.ndarray, violations: np.ndarray) -> float:
    """The share of the earlier trials that the last one is better than; a half for the first."""
    if len(scores) == 1:
        return 0.5
    others, last = scores[:-1], scores[-1]
    equal = violations[:-1] == violations[-1]
    differ = (others != last).any(axis=1)
    better = violations[:-1] < violations[-1]
    better |= equal & differ & (others >= last).all(axis=1)
    worse = violations[:-1] > violations[-1]
    worse |= equal & differ & (others <= last).all(axis=1)
    return 0.5 + float(worse.sum() - better.sum()) / (2 * len(others))


def score(scores: np.ndarray, violations: np.ndarray) -> float:
    """The value, higher is better."""
    return float(scores[-1, 0])


def cubed(scores: np.ndarray, violations: np.ndarray) -> float:
    """The third power of the value."""
    return float(scores[-1, 0]) ** 3


REWARDS: dict[str, Reward] = {"rank": rank, "score": score, "cubed": cubed}

OF_ONE_OBJECTIVE = (score, cubed)
"""Rewards that say nothing about several objectives."""


class Ledger:
    """The scores of the trials so far.

    What did not complete, or violates a constraint, counts as the worst of what did.

    Args:
        reward: The reward.
    """

    def __init__(self, reward: Reward) -> None:
        self._reward = reward
        self._scores = np.zeros((0, 0))
        self._violations = np.zeros(0)
        self._worst: np.ndarray | None = None
        self._count = 0

    def reward(self, outcome: Outcome) -> float | None:
        """The reward of the next trial; None as long as none was feasible and completed."""
        scores = None if outcome.scores is None else np.array(outcome.scores)
        if outcome.violation == 0 and scores is not None:
            self._worst = scores if self._worst is None else np.minimum(self._worst, scores)
        elif self._worst is None:
            return None
        else:
            scores = self._worst
        self._append(scores, outcome.violation)
        known = slice(self._count)
        return float(self._reward(self._scores[known], self._violations[known]))

    def _append(self, scores: np.ndarray, violation: float) -> None:
        if self._count == len(self._scores):
            longer = np.zeros((2 * self._count + 16, len(scores)))
            longer[: self._count] = self._scores[: self._count] if self._count else 0.0
            self._scores, before = longer, self._violations
            self._violations = np.zeros(len(longer))
            self._violations[: self._count] = before[: self._count]
        self._scores[self._count], self._violations[self._count] = scores, violation
        self._count += 1
