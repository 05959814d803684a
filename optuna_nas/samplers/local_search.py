"""Local search: hill climbing over the neighbourhoods of a space, with restarts.

1. `n_startup_trials` random architectures; the best is the current one.
2. The neighbours of the current one are evaluated in random order; the first that is better
   becomes the current one.
3. If no neighbour is better, the current one is a local optimum: start again at 1.

With several objectives it is a Pareto local search. What no known one dominates is in an archive;
the current one is that of the archive which has neighbours that nobody looked at, and is furthest
from the others. If there is none, start again at 1.

Reference: C. White, S. Nolen, Y. Savani, *Exploring the Loss Landscape in Neural Architecture
Search*, UAI 2021, arXiv 2005.02960; L. Paquete, M. Chiarandini, T. Stützle, *Pareto Local Optimum
Sets in the Biobjective Traveling Salesman Problem*, 2004 (several objectives).

*Departures*: where the climb stands is not kept but replayed from the study's trials, in the order
in which they completed, so that it survives a restart and many workers climb together. Where
trials have constraints, the better one of two is the feasible one, or else the one that violates
them less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import Observation
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.surrogates.pareto import crowding_distances

if TYPE_CHECKING:
    import optuna


class LocalSearchSampler(ArchitectureSampler):
    """Hill climbing with restarts.

    Args:
        space: The search space; None finds it on the study.
        n_startup_trials: Random architectures at every start.
        deduplicate: Whether an architecture is never proposed twice.
        seed: Seed of all randomness.

    Raises:
        ValueError: `n_startup_trials` is below 1.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        n_startup_trials: int = 10,
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, deduplicate=deduplicate, seed=seed)
        self._n_startup_trials = checked_integer("n_startup_trials", n_startup_trials)
        self._neighborhoods: dict[Architecture, list[Architecture]] = {}

    def propose(self, request: Request) -> Iterable[Proposal]:
        """Return the neighbours of the current architecture in random order; none at a start."""
        current = self.current(request.history.observations, request.adopt)
        if current is None:
            return ()
        neighbors = self._neighborhood(current.architecture)
        order = request.rng(request.number, 2).permutation(len(neighbors))
        return [Proposal(neighbors[index], current.number) for index in order]

    def current(
        self,
        observations: Sequence[Observation],
        adopt: Callable[[Architecture], Architecture | None] | None = None,
    ) -> Observation | None:
        """Where the climb stands after the given trials; None while a start is drawn.

        What did not complete was no step up, but the climb need not look there again.

        Args:
            observations: The trials.
            adopt: What becomes of a neighbour that is proposed; None if nothing changes.
        """
        adopt = adopt or (lambda architecture: architecture)
        archive: list[_Point] = []
        start: list[Observation] = []
        seen: set[str] = set()
        for observation in sorted(observations, key=lambda o: (o.completed, o.number)):
            seen.add(observation.architecture.key)
            for point in archive:
                point.unseen.discard(observation.architecture.key)
            joining = [] if observation.pruned else [observation]
            if not archive:
                start += joining
                if len(start) < self._n_startup_trials:
                    continue
                joining = sorted(start, key=lambda o: (o.violation, *o.values, o.number))
            for new in joining:
                if not any(_as_good(point.observation, new) for point in archive):
                    around = map(adopt, self._neighborhood(new.architecture))
                    unseen = {neighbor.key for neighbor in around if neighbor is not None} - seen
                    archive = [p for p in archive if not _as_good(new, p.observation)]
                    archive.append(_Point(new, unseen))
            if not any(point.unseen for point in archive):
                archive, start = [], []
        return _most_alone(archive)

    def _neighborhood(self, architecture: Architecture) -> list[Architecture]:
        """The neighbours, computed once for every point of the climb."""
        if architecture not in self._neighborhoods:
            self._neighborhoods[architecture] = architecture.space.neighbors(architecture)
        return self._neighborhoods[architecture]

    def _check_objectives(self, study: optuna.Study) -> None:
        """Any number of objectives will do."""


@dataclass(frozen=True)
class _Point:
    """What nothing known is better than, and the keys of its neighbours that nobody looked at."""

    observation: Observation
    unseen: set[str]


def _as_good(one: Observation, other: Observation) -> bool:
    """Whether one is nowhere worse than another."""
    if one.violation != other.violation:
        return one.violation < other.violation
    return all(a <= b for a, b in zip(one.values, other.values, strict=True))


def _most_alone(archive: Sequence[_Point]) -> Observation | None:
    """Of those whose neighbours are not all known, the one in the emptiest surroundings."""
    if not archive:
        return None
    distances = crowding_distances(np.array([point.observation.values for point in archive]))
    open_ones = [place for place, point in enumerate(archive) if point.unseen]
    return archive[max(open_ones, key=lambda place: float(distances[place]))].observation
