"""What a sampler knows of a study: finished trials as observations, unfinished ones as pending.

Values are "lower is better" here, whatever the directions of the study; they are turned once, when
a trial is read. Constraints are met up to zero.

- An observation's *violation* is the sum of what its constraints exceed zero by, each in units of
  the standard deviation of that constraint over all trials. A constraint that a trial did not set
  counts as met, as in Optuna.
- Observations rank by the rules of Deb (2000): the feasible ones first, by value; then the others,
  by violation. With several objectives the feasible ones rank by non-domination, and within a rank
  those in the emptier surroundings come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from heapq import nsmallest
from itertools import compress

import numpy as np

from optuna_nas._ranking import on_front
from optuna_nas.samplers._activity import Activity
from optuna_nas.spaces import Architecture
from optuna_nas.surrogates.pareto import crowding_distances, domination_ranks
from optuna_nas.surrogates.scaling import tamed


@dataclass(frozen=True)
class Observation:
    """A finished trial.

    Attributes:
        number: The trial's number.
        architecture: What it evaluated.
        values: Its value for each objective or, if pruned, the estimate of it; lower is better.
            Infinite if it was pruned and told nothing but its constraints.
        pruned: Whether it did not complete, so that the values are not its own.
        completed: When it finished.
        constraints: Its constraints by name; met up to zero.
        violation: By how much it violates all of them together; zero if it is feasible.
        failed: Whether it failed or diverged: its values say only that it is bad.
    """

    number: int
    architecture: Architecture
    values: tuple[float, ...]
    pruned: bool
    completed: datetime
    constraints: Mapping[str, float] = field(default_factory=dict)
    violation: float = 0.0
    failed: bool = False

    @property
    def rank(self) -> tuple[float, float]:
        """How good it is for a single objective: the lower of two is the better one."""
        return self.violation, self.values[0]

    @property
    def valued(self) -> bool:
        """Whether anything is known of its values."""
        return math.isfinite(self.values[0])


@dataclass(frozen=True)
class History:
    """What is known of a study.

    Attributes:
        observations: The finished trials that tell something, by trial number.
        keys: The architecture's key of every finished or pending trial, by trial number; also that
            of the proposal for it, if it was not evaluated as it was proposed.
        earlier: The observations as they are without the trials from a number on: what is believed
            of one that did not complete depends on those that did. None if nothing is believed.
    """

    observations: Sequence[Observation]
    keys: Mapping[int, frozenset[str]]
    earlier: Callable[[int], list[Observation]] | None = field(
        default=None, repr=False, compare=False
    )

    def before(self, number: int) -> History:
        """The history as known from trials below a number."""
        if self.earlier is None:
            known = [o for o in self.observations if o.number < number]
        else:
            known = self.earlier(number)
        return History(
            with_violations(known),
            {n: keys for n, keys in self.keys.items() if n < number},
            self.earlier,
        )

    @cached_property
    def taken(self) -> frozenset[str]:
        """The keys that must not be repeated."""
        return frozenset[str]().union(*self.keys.values())

    @cached_property
    def valued(self) -> list[Observation]:
        """The observations with values."""
        return [o for o in self.observations if o.valued]

    @cached_property
    def values(self) -> np.ndarray:
        """The values of the observations that have some, `n x k`, lower is better."""
        values = [o.values for o in self.valued]
        return np.array(values).reshape(len(values), self.num_objectives)

    @property
    def num_objectives(self) -> int:
        """The number of objectives, `k`; one if there is no observation."""
        return len(self.observations[0].values) if self.observations else 1

    @cached_property
    def ranked(self) -> list[Observation]:
        """The observations, best first; of equals the earlier one first."""
        return ranked(self.observations)

    @property
    def num_evaluated(self) -> int:
        """How many of the observations are no failures."""
        return sum(not o.failed for o in self.observations)

    @property
    def completed(self) -> list[Observation]:
        """The observations that are not estimates."""
        return [o for o in self.observations if not o.pruned]

    def best_completed(self, count: int) -> list[Observation]:
        """The best of the observations that are not estimates; of several objectives the front."""
        completed = self.completed
        if self.num_objectives > 1:
            feasible = [o for o in completed if o.violation == 0]
            front = on_front(
                np.array([o.values for o in feasible]).reshape(-1, self.num_objectives)
            )
            return list(compress(feasible, front))
        return nsmallest(count, completed, key=lambda o: (*o.rank, o.number))

    @cached_property
    def activity(self) -> Activity:
        """Which parameters the completed trials used, and when."""
        return Activity([o.architecture for o in self.completed])

    @cached_property
    def constraints(self) -> dict[str, tuple[list[int], np.ndarray]]:
        """For each constraint, by name: which observations have it, and their values."""
        return _constraints(self.observations)


def ranked(observations: Sequence[Observation]) -> list[Observation]:
    """Observations by the rules of the module, best first; of equals the earlier one first."""
    if observations and len(observations[0].values) > 1:
        return _ranked_by_domination(observations)
    return sorted(observations, key=lambda o: (*o.rank, o.number))


def with_violations(observations: list[Observation]) -> list[Observation]:
    """Return the observations with their violation in view of all of them."""
    constraints = _constraints(observations)
    if not constraints:
        return observations
    total = np.zeros(len(observations))
    for rows, values in constraints.values():
        excess = values.clip(min=0) / (values.std() or 1.0)
        # However little it is in this unit, what exceeds zero is not feasible.
        total[rows] += np.where(values > 0, np.maximum(excess, np.finfo(float).tiny), 0.0)
    return [
        replace(o, violation=violation)
        for o, violation in zip(observations, total.tolist(), strict=True)
    ]


def _constraints(observations: Sequence[Observation]) -> dict[str, tuple[list[int], np.ndarray]]:
    names = sorted({name for o in observations for name in o.constraints})
    rows = {
        name: [i for i, o in enumerate(observations) if name in o.constraints] for name in names
    }
    return {
        name: (rows[name], _finite([observations[i].constraints[name] for i in rows[name]]))
        for name in names
    }


def _finite(values: Sequence[float]) -> np.ndarray:
    """The values of a constraint, infinite and undefined ones moved beyond all others.

    Very large ones are scaled down, and all others with them.
    """
    found = np.array(values, dtype=float)
    known = np.isfinite(found)
    found[known] = tamed(found[known])
    finite = found[known]
    margin = (finite.std() if len(finite) else 0.0) or 1.0
    highest = max(finite.max(initial=0.0), 0.0) + margin
    lowest = min(finite.min(initial=0.0), 0.0) - margin
    return np.asarray(np.nan_to_num(found, nan=highest, posinf=highest, neginf=lowest))


def _ranked_by_domination(observations: Sequence[Observation]) -> list[Observation]:
    compared = [o for o in observations if o.violation == 0 and o.valued]
    others = [o for o in observations if o.violation > 0 or not o.valued]
    ranked: list[Observation] = []
    if compared:
        values = tamed(np.array([o.values for o in compared]), axis=0)
        ranks = domination_ranks(values)
        crowding = np.zeros(len(compared))
        for rank in range(ranks.max() + 1):
            crowding[ranks == rank] = crowding_distances(values[ranks == rank])
        order = np.lexsort((-crowding, ranks))  # stable: of equals the earlier trial first
        ranked = [compared[index] for index in order]
    return ranked + sorted(others, key=lambda o: (o.violation, o.number))
