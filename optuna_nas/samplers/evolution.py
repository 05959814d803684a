"""Regularised evolution.

1. The first `population_size` architectures are random.
2. `tournament_size` members of the population are drawn with replacement; the best is the parent.
3. The parent is mutated; the child is evaluated and joins the population.
4. One member leaves: the oldest (aging evolution, Real et al. 2019) or the worst.

The answer is the best of all trials, not of the last population.

Reference: E. Real, A. Aggarwal, Y. Huang, Q. V. Le, *Regularized Evolution for Image Classifier
Architecture Search*, AAAI 2019, arXiv 1802.01548.

*Departures*: the population is not kept but read from the study: the last `population_size` trials
to complete, or the best ones (which is what removing the worst each time leaves). So it survives
a restart and is shared by all workers. Children that were evaluated before are not proposed again
(unless `deduplicate=False`), and pruned and failed trials are not in the population. Where trials
have constraints, the better one of two is the feasible one, or else the one that violates them
less. With several objectives the better one is that of the lower rank by non-domination within the
population, of equal ranks the one in emptier surroundings, as in NSGA-II (K. Deb et al. 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_integer
from optuna_nas._choices import choose
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import Observation, ranked
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.spaces import SearchSpace

if TYPE_CHECKING:
    import optuna


def _newest(observations: Sequence[Observation], size: int) -> list[Observation]:
    return sorted(observations, key=lambda o: (o.completed, o.number))[-size:]


def _best(observations: Sequence[Observation], size: int) -> list[Observation]:
    return ranked(observations)[:size]


_SURVIVORS: dict[str, Callable[[Sequence[Observation], int], list[Observation]]] = {
    "oldest": _newest,
    "worst": _best,
}


class RegularizedEvolutionSampler(ArchitectureSampler):
    """Steady-state evolution with tournament selection.

    Args:
        space: The search space; None finds it on the study.
        population_size: The members of the population, and the random trials at the start.
        tournament_size: The members drawn for a tournament; 1 makes parents random.
        removal: Who leaves: `"oldest"` or `"worst"`.
        deduplicate: Whether an architecture is never proposed twice.
        seed: Seed of all randomness.

    Raises:
        ValueError: A size is below 1 or `removal` is unknown.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        population_size: int = 30,
        tournament_size: int = 10,
        removal: str = "oldest",
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, deduplicate=deduplicate, seed=seed)
        self._population_size = checked_integer("population_size", population_size)
        self._tournament_size = checked_integer("tournament_size", tournament_size)
        self._survivors = choose("removal", removal, _SURVIVORS)

    def population(self, observations: Sequence[Observation]) -> list[Observation]:
        """The members alive after the given completed trials."""
        return self._survivors(observations, self._population_size)

    def propose(self, request: Request) -> Iterator[Proposal]:
        """Yield children of tournament winners; nothing while the population fills."""
        completed = request.history.completed
        if len(completed) < self._population_size:
            return
        population = self.population(completed)
        places = {o.number: place for place, o in enumerate(ranked(population))}
        rng = request.rng(request.number, 2)
        while True:
            drawn = rng.integers(len(population), size=self._tournament_size)
            parent = min((population[i] for i in drawn), key=lambda o: places[o.number])
            yield Proposal(request.space.mutate(parent.architecture, rng), parent.number)

    def _check_objectives(self, study: optuna.Study) -> None:
        """Any number of objectives will do."""
