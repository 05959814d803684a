"""Candidates: the architectures among which the acquisition function chooses.

- *mutation*: mutations of the best architectures found so far, best first (the paper's choice);
- *random*: new random architectures;
- *mutation with random*: both;
- *surroundings*: whole neighbourhoods of the ten best, fifty mutants two steps away from them, and
  random ones, many at first and fewer the more is known.

Generators that search by themselves, the default *mixed* among them, are in
:mod:`optuna_nas.surrogates.candidate_search`.

Reference: as in :mod:`optuna_nas.surrogates.encodings`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas.spaces import Architecture, CellSpace, SearchSpace

Mutation = Callable[[Architecture, np.random.Generator], Architecture]
"""Maps a parent to a mutant."""

_CHANGES = 1.5
"""Edges that the published mutation changes on average."""


@dataclass(frozen=True)
class Pool:
    """What a generator draws candidates from.

    Attributes:
        space: The search space.
        parents: The evaluated architectures, best first.
        adopt: Fits a raw architecture into the request (pins enqueued parameters); None if that
            is impossible.
        is_new: Whether an architecture was neither evaluated nor proposed.
        rng: The source of randomness.
        score: The acquisition: one score for each architecture of a sequence, lower is better. An
            architecture has the same score each time.
    """

    space: SearchSpace
    parents: Sequence[Architecture]
    adopt: Callable[[Architecture], Architecture | None]
    is_new: Callable[[Architecture], bool]
    rng: np.random.Generator
    score: Callable[[Sequence[Architecture]], np.ndarray]

    def distinct(self, raw: Iterator[Architecture]) -> Iterator[Architecture]:
        """The new architectures of a stream, each function once."""
        drawn: set[Architecture] = set()
        keys: set[str] = set()
        for architecture in raw:
            if architecture in drawn:  # most mutants come twice, and a key takes longer
                continue
            drawn.add(architecture)
            adopted = self.adopt(architecture)
            if adopted is not None and adopted.key not in keys and self.is_new(adopted):
                keys.add(adopted.key)
                yield adopted


class CandidateGenerator(ABC):
    """Makes candidates from a pool."""

    @abstractmethod
    def __call__(self, pool: Pool) -> list[Architecture]:
        """Return new architectures with different keys; few or none in an exhausted space."""


class RandomCandidates(CandidateGenerator):
    """New random architectures.

    Args:
        num: How many.
    """

    def __init__(self, num: int = 100) -> None:
        self.num = checked_integer("num", num)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Draw until `num` are new, at most ten times as often."""
        draws = (pool.space.random(pool.rng) for _ in range(10 * self.num))
        return list(islice(pool.distinct(draws), self.num))


class MutationCandidates(CandidateGenerator):
    """Mutations of the best architectures.

    Takes the parents from the best on, mutates each `num` times and stops once `num` mutants are
    new, so that worse parents serve only when the best one's surroundings are known.

    Args:
        num: How many candidates.
        num_parents: The most parents to mutate.
        max_edits: A mutant is 1 to `max_edits` mutations away from its parent, equally likely.
        mutate: Makes a mutant; the space's own mutation by default.
    """

    def __init__(
        self,
        num: int = 100,
        *,
        num_parents: int = 5,
        max_edits: int = 1,
        mutate: Mutation | None = None,
    ) -> None:
        self.num = checked_integer("num", num)
        self.num_parents = checked_integer("num_parents", num_parents)
        self.max_edits = checked_integer("max_edits", max_edits)
        self.mutate = mutate

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Mutate parent after parent until there are `num` new candidates."""
        return list(islice(pool.distinct(self._mutants(pool)), self.num))

    def _mutants(self, pool: Pool) -> Iterator[Architecture]:
        mutate = self.mutate or pool.space.mutate
        for parent in pool.parents[: self.num_parents]:
            for _ in range(self.num):
                mutant = parent
                for _ in range(pool.rng.integers(self.max_edits) + 1):
                    mutant = mutate(mutant, pool.rng)
                yield mutant


def published_mutation(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Mutate as the published code does.

    In a cell with an operation on each edge every edge changes by itself, with the probability
    that makes one and a half changes on average: 1/4 for the six edges of NAS-Bench-201. So a
    mutant may be its parent. In other spaces it is the space's own mutation.
    """
    space = architecture.space
    if not isinstance(space, CellSpace):
        return space.mutate(architecture, rng)
    params = architecture.params
    chosen = rng.random(len(params)) < _CHANGES / len(params)
    for name in compress(params, chosen):
        others = [operation for operation in space.operations if operation != params[name]]
        params[name] = others[rng.integers(len(others))]
    return Architecture(space, params)


class ScatteredCandidates(CandidateGenerator):
    """Mutants a few steps away from any of the best architectures.

    Args:
        num: How many mutants are drawn.
        num_parents: The best so many are parents, each as likely as the others.
        edits: A mutant is so many mutations away from its parent.
    """

    def __init__(self, num: int = 50, *, num_parents: int = 10, edits: int = 2) -> None:
        self.num = checked_integer("num", num)
        self.num_parents = checked_integer("num_parents", num_parents)
        self.edits = checked_integer("edits", edits)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Mutate `num` times and return what is new."""
        return list(pool.distinct(self._mutants(pool)))

    def _mutants(self, pool: Pool) -> Iterator[Architecture]:
        parents = pool.parents[: self.num_parents]
        for _ in range(self.num if parents else 0):
            mutant = parents[int(pool.rng.integers(len(parents)))]
            for _ in range(self.edits):
                mutant = pool.space.mutate(mutant, pool.rng)
            yield mutant


class NeighborCandidates(CandidateGenerator):
    """The neighbourhoods of the best architectures.

    Args:
        num: How many neighbours are taken at random, if there are more.
        num_parents: The best so many have their neighbours taken.
    """

    def __init__(self, num: int = 240, *, num_parents: int = 10) -> None:
        self.num = checked_integer("num", num)
        self.num_parents = checked_integer("num_parents", num_parents)
        self._known: dict[Architecture, list[Architecture]] = {}

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Return the new ones of `num` neighbours."""
        parents = pool.parents[: self.num_parents]
        # The best change slowly: their neighbours keep their keys from one call to the next.
        self._known = {
            parent: self._known.get(parent) or pool.space.neighbors(parent) for parent in parents
        }
        neighbors = [n for found in self._known.values() for n in found]
        chosen = pool.rng.permutation(len(neighbors))[: self.num]
        return list(pool.distinct(neighbors[index] for index in chosen))


class FadingRandomCandidates(CandidateGenerator):
    """Random architectures, fewer the more is known: `min(num, fade / n^2)` after `n` trials.

    Args:
        num: The most that are drawn.
        fade: How slowly they become fewer.
    """

    def __init__(self, num: int = 1000, *, fade: int = 500_000) -> None:
        self.num = checked_integer("num", num)
        self.fade = checked_integer("fade", fade)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Draw and return what is new."""
        number = min(self.num, self.fade // max(len(pool.parents), 1) ** 2)
        return list(pool.distinct(pool.space.random(pool.rng) for _ in range(number)))


class JoinedCandidates(CandidateGenerator):
    """The candidates of several generators together.

    Args:
        generators: The generators, whose candidates are taken in this order.
    """

    def __init__(self, *generators: CandidateGenerator) -> None:
        self.generators = generators

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Return the candidates of all generators, each function once."""
        together = {a.key: a for generator in self.generators for a in generator(pool)}
        return list(together.values())


def surroundings() -> JoinedCandidates:
    """Neighbourhoods of the best, mutants two steps away, and random ones that become fewer."""
    return JoinedCandidates(NeighborCandidates(), ScatteredCandidates(), FadingRandomCandidates())
