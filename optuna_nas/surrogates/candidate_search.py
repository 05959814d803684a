"""Candidates found by a search of their own, which asks the acquisition at every step.

- *local search*: from the best architectures evaluated and from random ones, each climber moves to
  the best of its neighbours until none is better. All their neighbours are scored at once.
- *evolution*: regularised evolution. Parents win tournaments by their score, a generation of
  mutants is scored at once, and the oldest leave.
- *beam*: a beam search from the candidates of another generator.

They return all that is new of what they scored, in the order in which they met it.

*Mixed*, the default, is a choice by the space. Architectures made of operations have small
neighbourhoods, and a beam goes on from the surroundings of the best ones. In a space of plain
parameters, of which there may be hundreds, one step changes next to nothing, and evolution takes
many between two evaluations.

References: C. White et al., *BANANAS*, AAAI 2021, arXiv 1910.11858 (local search and evolution as
acquisition optimisers); E. Real et al., *Regularized Evolution*, AAAI 2019, arXiv 1802.01548.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas.spaces import Architecture
from optuna_nas.surrogates.candidates import (
    CandidateGenerator,
    Pool,
    surroundings,
)


class LocalSearchCandidates(CandidateGenerator):
    """Hill climbing on the acquisition from several starts.

    Args:
        num: Once so many architectures are scored, no climber takes another step.
        num_parents: The best so many evaluated architectures are starts.
        num_random: So many random architectures are starts, too.
    """

    def __init__(self, num: int = 500, *, num_parents: int = 5, num_random: int = 5) -> None:
        self.num = checked_integer("num", num)
        self.num_parents = checked_integer("num_parents", num_parents)
        self.num_random = checked_integer("num_random", num_random)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Climb from all starts, and return what is new of all that was scored."""
        met = _Met(pool)
        random = islice(pool.distinct(_draws(pool, 10 * self.num_random)), self.num_random)
        met.score(met.admit(random))
        # An evaluated start cannot be proposed again, so any of its neighbours is a step up.
        climbers = [*pool.parents[: self.num_parents], *met.scores]
        while climbers and len(met.scores) < self.num:
            around = [met.admit(pool.space.neighbors(climber)) for climber in climbers]
            met.score(dict.fromkeys(a for neighbors in around for a in neighbors))
            steps = (
                min(neighbors, key=met.scores.__getitem__, default=climber)
                for climber, neighbors in zip(climbers, around, strict=True)
            )
            better = (
                step
                for step, climber in zip(steps, climbers, strict=True)
                if met.scores.get(step, np.inf) < met.scores.get(climber, np.inf)
            )
            climbers = list(dict.fromkeys(better))  # those who meet go on as one
        return list(met.scores)


class EvolutionCandidates(CandidateGenerator):
    """Regularised evolution on the acquisition.

    Args:
        num: How many architectures are scored.
        population_size: The members of the population. The first ones are mutants of the best
            evaluated architectures and, from the middle on, random.
        tournament_size: The members drawn for a tournament.
        generation_size: The mutants that are scored together.
        num_parents: The best so many evaluated architectures have mutants in the first population.
    """

    def __init__(
        self,
        num: int = 400,
        *,
        population_size: int = 60,
        tournament_size: int = 10,
        generation_size: int = 20,
        num_parents: int = 10,
    ) -> None:
        self.num = checked_integer("num", num)
        self.population_size = checked_integer("population_size", population_size)
        self.tournament_size = checked_integer("tournament_size", tournament_size)
        self.generation_size = checked_integer("generation_size", generation_size)
        self.num_parents = checked_integer("num_parents", num_parents)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Evolve, and return what is new of all that was scored."""
        met = _Met(pool)
        population = self._first(pool, met)
        for _ in range(0, self.num - len(population), self.generation_size):
            if not population:
                break
            drawn = pool.rng.integers(
                len(population), size=(self.generation_size, self.tournament_size)
            )
            parents = [
                min((population[i] for i in row), key=met.scores.__getitem__) for row in drawn
            ]
            before = len(met.scores)
            met.score(met.admit(pool.space.mutate(parent, pool.rng) for parent in parents))
            population = [*population, *islice(met.scores, before, None)][-self.population_size :]
        return list(met.scores)

    def _first(self, pool: Pool, met: _Met) -> list[Architecture]:
        half = self.population_size // 2
        parents = pool.parents[: self.num_parents]
        mutants = (
            pool.space.mutate(parents[n % len(parents)], pool.rng)
            for n in range(half if parents else 0)
        )
        met.score(met.admit(mutants))
        missing = self.population_size - len(met.scores)
        met.score(met.admit(islice(pool.distinct(_draws(pool, 10 * missing)), missing)))
        return list(met.scores)


class BeamCandidates(CandidateGenerator):
    """A beam search on the acquisition from the candidates of another generator.

    Args:
        start: Makes the first candidates.
        width: So many of the best that the last step met have their neighbours scored next.
        steps: How many steps; fewer if a step meets nothing new.
    """

    def __init__(self, start: CandidateGenerator, *, width: int = 10, steps: int = 3) -> None:
        self.start = start
        self.width = checked_integer("width", width)
        self.steps = checked_integer("steps", steps)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Take the steps, and return what is new of all that was scored."""
        met = _Met(pool)
        front = met.admit(self.start(pool))
        met.score(front)
        for _ in range(self.steps):
            beam = sorted(front, key=met.scores.__getitem__)[: self.width]
            around = met.admit(
                n for architecture in beam for n in pool.space.neighbors(architecture)
            )
            # Where the last step already was, the beam does not return to.
            front = [architecture for architecture in around if architecture not in met.scores]
            met.score(front)
        return list(met.scores)


class MixedCandidates(CandidateGenerator):
    """The surroundings of the best in a space with paths, evolution in any other.

    Args:
        around: For spaces whose architectures have paths.
        search: For all others.
    """

    def __init__(
        self,
        around: CandidateGenerator | None = None,
        search: CandidateGenerator | None = None,
    ) -> None:
        self.around = around or BeamCandidates(surroundings())
        self.search = search or EvolutionCandidates(1000)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Return the candidates of the generator that fits the space."""
        return (self.around if pool.space.path_blocks else self.search)(pool)


class _Met:
    """The new architectures a search has met, each function once, with their scores."""

    def __init__(self, pool: Pool) -> None:
        self.scores: dict[Architecture, float] = {}
        self._pool = pool
        self._admitted: dict[Architecture, Architecture | None] = {}
        self._by_key: dict[str, Architecture] = {}

    def admit(self, raw: Iterable[Architecture]) -> list[Architecture]:
        """The different new architectures among these, as they were met first."""
        admitted = []
        for architecture in raw:
            if architecture not in self._admitted:  # keys take long, and most come twice
                self._admitted[architecture] = self._admit(architecture)
            admitted.append(self._admitted[architecture])
        return list(dict.fromkeys(a for a in admitted if a is not None))

    def _admit(self, architecture: Architecture) -> Architecture | None:
        adopted = self._pool.adopt(architecture)
        if adopted is None or not self._pool.is_new(adopted):
            return None
        return self._by_key.setdefault(adopted.key, adopted)

    def score(self, architectures: Iterable[Architecture]) -> None:
        """Score those that have no score yet, all at once."""
        fresh = [a for a in architectures if a not in self.scores]
        if fresh:
            self.scores.update(zip(fresh, self._pool.score(fresh).tolist(), strict=True))


def _draws(pool: Pool, number: int) -> Iterator[Architecture]:
    return (pool.space.random(pool.rng) for _ in range(number))
