"""Where the candidates of an ensemble come from: EdgeNES, and what it is compared with.

- :class:`HypernetworkMembers`: architectures of a hypernetwork around an optimum, EdgeNES.
- :class:`DartsMembers`: one search of DARTS for each.
- :class:`RandomMembers`: random architectures; nothing is searched.
- :class:`DeviatingMembers`: an optimum with a random number of its edges replaced at random.
- :class:`RepeatedMembers`: one architecture, trained several times: a deep ensemble.

A source of one's own is any object with the members of :class:`MemberSource`. It finds
architectures by the searches of :class:`~optuna_nas.objectives.edge_nes.search.Search`, or
without. Its `repr` has to tell its settings, as that of a dataclass does: a checkpoint of other
settings is refused, and so is a source with the `repr` of every object, an address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from optuna_nas._options import check_options, option, with_default
from optuna_nas.methods import common_edges
from optuna_nas.objectives.edge_nes.deviation import random_deviation
from optuna_nas.objectives.edge_nes.search import Candidates, Search
from optuna_nas.objectives.ensemble_settings import HypernetworkSettings, SupernetSettings


class MemberSource(Protocol):
    """Where the candidates of an ensemble come from."""

    @property
    def candidates(self) -> int:
        """How many candidates there are."""

    @property
    def searches(self) -> tuple[SupernetSettings, ...]:
        """The settings of the supernets that are trained, to be checked before anything is."""

    def find(self, search: Search) -> Candidates:
        """Find the candidates; called again with the same search, it finds the same."""


@dataclass(frozen=True)
class _Drawn:
    """Candidates of whatever source."""

    candidates: int = option(3, "Architectures to train and to choose from.", minimum=1)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class _Searched(_Drawn):
    """Candidates that a search of DARTS comes before.

    Attributes:
        search: How the architecture is searched.
    """

    search: SupernetSettings = field(default_factory=SupernetSettings)

    @property
    def searches(self) -> tuple[SupernetSettings, ...]:
        """The search."""
        return (self.search,)


@dataclass(frozen=True)
class HypernetworkMembers(_Searched):
    """Candidates of a hypernetwork around the optimum of a search: EdgeNES.

    Attributes:
        hypernetwork: How the hypernetwork is trained.
    """

    candidates: int = with_default(_Drawn, "candidates", 6)
    hypernetwork: HypernetworkSettings = field(default_factory=HypernetworkSettings)

    @property
    def searches(self) -> tuple[SupernetSettings, ...]:
        """Both trainings."""
        return self.search, self.hypernetwork

    def find(self, search: Search) -> Candidates:
        """Search the optimum, train the hypernetwork, and draw from it."""
        optimum = search.optimum(self.search)
        return search.around(optimum, self.hypernetwork, self.candidates)


@dataclass(frozen=True)
class DartsMembers(_Searched):
    """A search of DARTS for each candidate, with other random numbers."""

    def find(self, search: Search) -> Candidates:
        """Search one architecture after the other."""
        names = (f"optimum {number}" for number in range(self.candidates))
        return Candidates([search.optimum(self.search, name) for name in names])


@dataclass(frozen=True)
class DeviatingMembers(_Searched):
    """The optimum of a search, with some of its edges replaced at random.

    How many edges are left is drawn uniformly from 0 to all of them, and which ones uniformly too.
    """

    candidates: int = with_default(_Drawn, "candidates", 6)

    def find(self, search: Search) -> Candidates:
        """Search the optimum, and draw around it."""
        optimum = search.optimum(self.search)
        rng = search.rng("members")
        total = common_edges(optimum, optimum)
        left = rng.integers(0, total + 1, size=self.candidates).tolist()
        return Candidates([random_deviation(optimum, count, rng) for count in left], optimum)


@dataclass(frozen=True)
class RepeatedMembers(_Searched):
    """One architecture, trained several times from other weights: a deep ensemble."""

    def find(self, search: Search) -> Candidates:
        """Search the architecture, and repeat it."""
        optimum = search.optimum(self.search)
        return Candidates([optimum] * self.candidates, optimum)


@dataclass(frozen=True)
class RandomMembers(_Drawn):
    """Random architectures."""

    searches: ClassVar[tuple[SupernetSettings, ...]] = ()

    def find(self, search: Search) -> Candidates:
        """Draw architectures uniformly from the space."""
        rng = search.rng("members")
        return Candidates([search.space.random(rng) for _ in range(self.candidates)])
