"""Several objectives for samplers that have no model: who is better, and where they go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

import numpy as np
import optuna
import pytest
from optuna._hypervolume import compute_hypervolume

from optuna_nas.samplers import (
    ArchitectureSampler,
    History,
    LocalSearchSampler,
    Observation,
    RegularizedEvolutionSampler,
    Request,
)
from optuna_nas.spaces import Architecture, NASBench201Space

SPACE = NASBench201Space()
START = datetime(2026, 1, 1)


def observed(
    number: int, cell: Architecture, values: tuple[float, ...], violation: float = 0.0
) -> Observation:
    when = START + timedelta(seconds=number)
    return Observation(number, cell, values, False, when, violation=violation)


def cells(count: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SPACE.random(rng) for _ in range(count)]


def observations(values: list[tuple[float, ...]]) -> list[Observation]:
    return [observed(n, c, v) for n, (c, v) in enumerate(zip(cells(len(values)), values))]  # noqa: B905


def winners(found: list[Observation], size: int, rounds: int = 400) -> Counter[int | None]:
    """The parents of the children of an evolution whose population is all there is."""
    sampler = RegularizedEvolutionSampler(
        population_size=len(found), tournament_size=size, removal="worst", seed=0
    )
    history = History(found, {})
    asked = Request(None, 99, SPACE, history, {}, 0)
    return Counter(p.parent for p in islice(sampler.propose(asked), rounds))


class TestEvolution:
    def test_the_front_wins_and_of_it_the_ends(self) -> None:
        """Ranks: 0, 1, 2 and 4 on the front, of which 1 lies between close neighbours."""
        found = observations([(0.0, 9.0), (4.0, 4.5), (5.0, 4.0), (6.0, 6.0), (9.0, 0.0)])
        won = winners(found, size=60)
        assert set(won) == {0}  # an end; the other one is as alone, and later
        won = winners(found, size=2)
        assert won[0] > won[4] > won[3]
        assert min(won, key=lambda number: won[number]) == 3

    def test_whoever_violates_a_constraint_comes_last(self) -> None:
        found = observations([(5.0, 5.0), (6.0, 6.0)])
        found.append(observed(2, cells(3)[2], (0.0, 0.0), violation=1.0))
        assert set(winners(found, size=40)) == {0}

    def test_removing_the_worst_leaves_the_front(self) -> None:
        found = observations([(5.0, 5.0), (1.0, 8.0), (8.0, 1.0), (6.0, 6.0), (4.0, 4.0)])
        sampler = RegularizedEvolutionSampler(population_size=3, removal="worst")
        assert {o.number for o in sampler.population(found)} == {1, 2, 4}


class TestLocalSearch:
    def test_the_best_of_a_start_are_an_archive(self) -> None:
        sampler = LocalSearchSampler(n_startup_trials=4)
        found = observations([(5.0, 5.0), (1.0, 8.0), (8.0, 1.0), (6.0, 6.0)])
        assert sampler.current(found[:3]) is None
        current = sampler.current(found)
        assert current is not None and current.number == 1  # an end of the front, and the first

    def test_it_goes_on_from_those_whose_neighbours_are_unknown(self) -> None:
        sampler = LocalSearchSampler(n_startup_trials=2)
        found = observations([(0.0, 1.0), (1.0, 0.0)])
        around: dict[int, set[str]] = {
            o.number: {n.key for n in SPACE.neighbors(o.architecture)} for o in found
        }
        visited = []
        while (current := sampler.current(found)) is not None:
            visited.append(current.number)
            assert around[current.number] - {o.architecture.key for o in found}
            new = next(
                n
                for n in SPACE.neighbors(current.architecture)
                if n.key not in {o.architecture.key for o in found}
            )
            found.append(observed(len(found), new, (2.0, 2.0)))
        assert set(visited) == {0, 1}
        assert around[0] | around[1] <= {o.architecture.key for o in found}

    def test_what_dominates_takes_the_place_of_what_it_dominates(self) -> None:
        sampler = LocalSearchSampler(n_startup_trials=2)
        found = observations([(2.0, 4.0), (4.0, 2.0), (1.0, 1.0), (1.0, 1.0), (0.5, 3.0)])
        for count, expected in ((2, 0), (3, 2), (4, 2), (5, 2)):
            current = sampler.current(found[:count])
            assert current is not None and current.number == expected

    def test_a_feasible_one_takes_the_place_of_all_others(self) -> None:
        sampler = LocalSearchSampler(n_startup_trials=2)
        one, other, third = cells(3)
        found = [observed(0, one, (0.0, 1.0), 2.0), observed(1, other, (1.0, 0.0), 2.0)]
        found.append(observed(2, third, (9.0, 9.0)))
        current = sampler.current(found)
        assert current is not None and current.number == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: RegularizedEvolutionSampler(population_size=10, tournament_size=4, seed=seed),
        lambda seed: RegularizedEvolutionSampler(
            population_size=10, tournament_size=4, removal="worst", seed=seed
        ),
        lambda seed: LocalSearchSampler(n_startup_trials=5, seed=seed),
    ],
    ids=["evolution-oldest", "evolution-worst", "local-search"],
)
def test_they_dominate_more_than_chance(
    make: Callable[[int], ArchitectureSampler], error: Callable[[Architecture], float]
) -> None:
    """Two objectives, each a sum over the edges."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        cell = SPACE.suggest(trial)
        return error(cell), float(sum(len(name) for name in cell.params.values()))

    def volume(sampler: optuna.samplers.BaseSampler) -> float:
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(objective, n_trials=70)
        return float(compute_hypervolume(np.array([t.values for t in study.trials]), REFERENCE))

    searched = np.mean([volume(make(seed)) for seed in range(4)])
    random = np.mean(
        [volume(RegularizedEvolutionSampler(population_size=1_000, seed=s)) for s in range(4)]
    )
    assert searched > 1.03 * random


REFERENCE = np.array([6.0, 72.0])
"""Worse than any cell."""
