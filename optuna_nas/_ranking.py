"""Which trial is better, which is feasible, and which are the best: the one place that says so.

- *Losses* are a trial's values turned so that lower is better. One that is NaN or infinite, in
  whichever direction, is the worst.
- The *violation* is the sum of what a trial's constraints exceed zero by. A trial is feasible up
  to zero; a constraint that is NaN or no number is not known to be met.
- One trial is better than another by the rules of Deb (2000): the feasible one; of two infeasible
  ones the one that violates less; else by loss, or with several objectives by domination. Of equal
  ones the earlier is taken.
- The *best* is feasible, complete and finite. With several objectives it is the Pareto front.

Samplers compare violations of several constraints in other units
(:mod:`optuna_nas.samplers._history`); feasibility and signs are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._attributes import as_number

__all__ = [
    "Standing",
    "best_trials",
    "constraints_of",
    "direction_signs",
    "is_feasible",
    "on_front",
    "ranked_trials",
    "ranking",
    "violation",
    "why_no_best",
]

_CONSTRAINTS = "constraints"
"""System attribute of a list, and with a colon and a name behind it of each constraint."""


def direction_signs(directions: Sequence[StudyDirection]) -> list[int]:
    """Return for each objective what turns its values so that lower is better: 1 or -1."""
    return [-1 if direction == StudyDirection.MAXIMIZE else 1 for direction in directions]


def constraints_of(trial: FrozenTrial) -> dict[str, float]:
    """The constraints of a trial by name; NaN for what is no number.

    They are those of `trial.set_constraint`, and the list that a `constraints_func` leaves.
    """
    attributes = trial.system_attrs
    listed = attributes.get(_CONSTRAINTS)
    values = listed if isinstance(listed, (list, tuple)) else [] if listed is None else [listed]
    found = {str(index): value for index, value in enumerate(values)}
    prefix = f"{_CONSTRAINTS}:"
    found |= {n.removeprefix(prefix): v for n, v in attributes.items() if n.startswith(prefix)}
    numbers = {name: as_number(value) for name, value in found.items()}
    return {n: math.nan if v is None else float(v) for n, v in numbers.items()}


def violation(trial: FrozenTrial) -> float:
    """By how much a trial violates all of its constraints together; zero if it is feasible."""
    values = constraints_of(trial).values()
    return sum(math.inf if math.isnan(value) else max(value, 0.0) for value in values)


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether a trial meets all of its constraints."""
    return violation(trial) == 0


@dataclass(frozen=True)
class Standing:
    """How good a trial is.

    Attributes:
        losses: One for each objective; lower is better.
        violation: By how much it violates its constraints.
    """

    losses: tuple[float, ...]
    violation: float = 0.0

    @classmethod
    def of(
        cls, trial: FrozenTrial, values: Sequence[float], directions: Sequence[StudyDirection]
    ) -> Standing:
        """That of a trial with its final values.

        Raises:
            ValueError: There are not as many values as directions.
        """
        if len(values) != len(directions):
            raise ValueError(f"{values=}: one number for each of the directions {directions}.")
        losses = (s * float(v) for s, v in zip(direction_signs(directions), values, strict=True))
        worst = (loss if math.isfinite(loss) else math.inf for loss in losses)
        return cls(tuple(worst), violation(trial))

    @property
    def may_be_best(self) -> bool:
        """Whether it is feasible and finite."""
        return self.violation == 0 and all(map(math.isfinite, self.losses))

    @property
    def order(self) -> tuple[float, ...]:
        """What sorts a better one before a worse one; for one objective that is all of it."""
        return (self.violation, *self.losses)

    def is_better(self, other: Standing) -> bool:
        """Whether it violates less, or as much and dominates."""
        if self.violation != other.violation:
            return self.violation < other.violation
        nowhere_worse = all(a <= b for a, b in zip(self.losses, other.losses, strict=True))
        return nowhere_worse and self.losses != other.losses


def ranking(standings: Mapping[int, Standing]) -> list[int]:
    """Order trial numbers from best to worst, by how many others are better and by number."""
    others = standings.values()
    better = {n: sum(other.is_better(own) for other in others) for n, own in standings.items()}
    return sorted(standings, key=lambda number: (better[number], number))


def on_front(losses: np.ndarray) -> np.ndarray:
    """Which of `n` vectors no other one dominates, as `n` booleans; equal ones all or none.

    Args:
        losses: The vectors, `n x k`, without NaN; lower is better.
    """
    distinct, places = np.unique(losses, axis=0, return_inverse=True)
    front = np.zeros(len(distinct), dtype=bool)
    left = np.arange(len(distinct))
    while len(left):  # what dominates a vector comes before it in lexicographic order
        front[left[0]] = True
        left = left[(distinct[left] < distinct[left[0]]).any(axis=1)]
    return np.asarray(front[places.reshape(-1)])


def ranked_trials(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """The trials that may be the best: of one objective best first, of several the front.

    Args:
        trials: All trials of a study.
        directions: Its directions.
    """
    complete = _complete(trials, directions)
    standings = [(trial, Standing.of(trial, trial.values, directions)) for trial in complete]
    candidates = [(trial, standing) for trial, standing in standings if standing.may_be_best]
    if len(directions) > 1:
        losses = np.array([standing.losses for _, standing in candidates])
        chosen = on_front(losses.reshape(-1, len(directions)))
        return [trial for (trial, _), best in zip(candidates, chosen, strict=True) if best]
    candidates.sort(key=lambda known: (known[1].order, known[0].number))
    return [trial for trial, _ in candidates]


def best_trials(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """The best trial, none before there is one; of several objectives the front, by number.

    Args:
        trials: All trials of a study.
        directions: Its directions.
    """
    ranked = ranked_trials(trials, directions)
    return ranked if len(directions) > 1 else ranked[:1]


def why_no_best(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> str:
    """Say why no trial is the best, as the end of a sentence that begins with the study."""
    complete = _complete(trials, directions)
    if not complete:
        return "has no complete trial yet"
    count = f"{len(complete)} complete trial{'s'[: len(complete) != 1]}"
    if any(map(is_feasible, complete)):
        return f"has {count}, and no feasible one of a finite value"
    least = min(complete, key=lambda trial: (violation(trial), trial.number))
    broken = [name for name, value in constraints_of(least).items() if not value <= 0]
    return (
        f"has {count}, and none is feasible: trial {least.number} violates its constraints "
        f"least ({', '.join(broken)}, by {violation(least):.4g} in all)"
    )


def _complete(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    complete = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    return [trial for trial in complete if len(trial.values or ()) == len(directions)]
