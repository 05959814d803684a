"""Candidates: the architectures among which the acquisition function chooses.

- *mutation*: mutations of the best architectures found so far, best first (the paper's choice);
- *random*: new random architectures;
- *mutation with random*: both.

Reference: as in :mod:`optuna_nas.surrogates.encodings`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas.spaces import Architecture, SearchSpace


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
    """

    space: SearchSpace
    parents: Sequence[Architecture]
    adopt: Callable[[Architecture], Architecture | None]
    is_new: Callable[[Architecture], bool]
    rng: np.random.Generator

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
    """

    def __init__(self, num: int = 100, *, num_parents: int = 5, max_edits: int = 1) -> None:
        self.num = checked_integer("num", num)
        self.num_parents = checked_integer("num_parents", num_parents)
        self.max_edits = checked_integer("max_edits", max_edits)

    def __call__(self, pool: Pool) -> list[Architecture]:
        """Mutate parent after parent until there are `num` new candidates."""
        return list(islice(pool.distinct(self._mutants(pool)), self.num))

    def _mutants(self, pool: Pool) -> Iterator[Architecture]:
        for parent in pool.parents[: self.num_parents]:
            for _ in range(self.num):
                mutant = parent
                for _ in range(pool.rng.integers(self.max_edits) + 1):
                    mutant = pool.space.mutate(mutant, pool.rng)
                yield mutant


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
