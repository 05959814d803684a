"""Regularised evolution: who lives, who is a parent, and what a child is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from optuna_nas.samplers import (
    History,
    Observation,
    RegularizedEvolutionSampler,
    Request,
)
from optuna_nas.spaces import Architecture, NASBench201Space

SPACE = NASBench201Space()
START = datetime(2024, 1, 1)


class Copying(NASBench201Space):
    """A space whose mutants are their parents, which shows who was chosen."""

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        return architecture


def observations(values: list[float], order: list[int] | None = None) -> list[Observation]:
    """Observations numbered from 0, completed in the given order of their numbers."""
    rng = np.random.default_rng(0)
    order = list(range(len(values))) if order is None else order
    return [
        Observation(n, SPACE.random(rng), (v,), False, START + timedelta(hours=order.index(n)))
        for n, v in enumerate(values)
    ]


def request(
    found: list[Observation], number: int = 99, space: NASBench201Space = SPACE
) -> Request:
    keys = {o.number: frozenset([o.architecture.key]) for o in found}
    return Request(None, number, space, History(found, keys), {}, 0)


def children(sampler: RegularizedEvolutionSampler, asked: Request) -> Iterator[Architecture]:
    return (proposal.architecture for proposal in sampler.propose(asked))


def numbers(found: list[Observation]) -> list[int]:
    return sorted(o.number for o in found)


def test_the_oldest_leave_by_completion_not_by_number() -> None:
    sampler = RegularizedEvolutionSampler(population_size=3)
    found = observations([5, 4, 3, 2, 1, 0], order=[5, 3, 4, 0, 2, 1])
    assert numbers(sampler.population(found)) == [0, 1, 2]
    assert numbers(sampler.population(found[3:])) == [3, 4, 5]
    assert numbers(sampler.population(found[:2])) == [0, 1]
    # Completed at the same moment: the later number is younger.
    same = [replace(o, completed=START) for o in found]
    assert numbers(sampler.population(same)) == [3, 4, 5]


def test_the_worst_leave() -> None:
    sampler = RegularizedEvolutionSampler(population_size=3, removal="worst")
    assert numbers(sampler.population(observations([5, 0, 3, 9, 1, 4]))) == [1, 2, 4]
    assert numbers(sampler.population(observations([1, 1, 1, 1]))) == [0, 1, 2]


def test_removing_the_worst_each_time_keeps_the_best() -> None:
    """The rule of the paper's steady state, replayed step by step."""
    rng = np.random.default_rng(4)
    found = observations(rng.random(30).tolist())
    sampler = RegularizedEvolutionSampler(population_size=6, removal="worst")
    alive: list[Observation] = []
    for step, newcomer in enumerate(found, start=1):
        alive.append(newcomer)
        if len(alive) > 6:
            alive.remove(max(alive, key=lambda o: o.values[0]))
        assert numbers(alive) == numbers(sampler.population(found[:step]))


def test_removing_the_oldest_each_time_keeps_the_youngest() -> None:
    found = observations([float(n % 7) for n in range(30)])
    sampler = RegularizedEvolutionSampler(population_size=6)
    for step in range(1, 31):
        assert numbers(sampler.population(found[:step])) == list(range(max(0, step - 6), step))


def test_an_excellent_old_model_leaves() -> None:
    found = observations([-100.0] + [float(n) for n in range(1, 9)])
    excellent = found[0].architecture
    for removal, lives in (("oldest", False), ("worst", True)):
        sampler = RegularizedEvolutionSampler(
            population_size=4, tournament_size=3, removal=removal, seed=0
        )
        parents = set(islice(children(sampler, request(found, space=Copying())), 200))
        assert (excellent in parents) == lives


@pytest.mark.parametrize("size", [1, 3, 8])
def test_tournaments_choose_ranks_with_their_probability(size: int) -> None:
    """`S` draws with replacement out of `P`: rank `r` wins with ((P-r+1)^S - (P-r)^S) / P^S."""
    population = 5
    values = [3.0, 1.0, 5.0, 2.0, 4.0]
    found = observations(values)
    sampler = RegularizedEvolutionSampler(population_size=population, tournament_size=size, seed=1)
    rounds = 6_000
    rank = {o.architecture: int(o.values[0]) for o in found}
    chosen = islice(children(sampler, request(found, space=Copying())), rounds)
    counts = Counter(rank[parent] for parent in chosen)
    chi_square = 0.0
    for r in range(1, population + 1):
        probability = ((population - r + 1) ** size - (population - r) ** size) / population**size
        expected = rounds * probability
        if expected > 5:
            chi_square += (counts[r] - expected) ** 2 / expected
    assert chi_square < 18.5  # 99.9 % of a chi-square with 4 degrees of freedom


def test_equal_values_are_won_by_the_earlier_trial() -> None:
    found = observations([1.0] * 4)
    sampler = RegularizedEvolutionSampler(population_size=4, tournament_size=50, seed=0)
    parents = set(islice(children(sampler, request(found, space=Copying())), 20))
    assert parents == {found[0].architecture}


@pytest.mark.parametrize("removal", ["oldest", "worst"])
def test_children_are_mutations_of_members(removal: str) -> None:
    """One edge away from a member of the population as it was when the child was proposed."""
    sampler = RegularizedEvolutionSampler(
        population_size=5, tournament_size=2, removal=removal, seed=3
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=25)
    cells = [SPACE.architecture(trial.params) for trial in study.trials]
    known = [
        Observation(n, cell, (float(len(cell.key)),), False, START + timedelta(hours=n))
        for n, cell in enumerate(cells)
    ]
    for number in range(5, 25):
        members = sampler.population(known[:number])
        distances = [
            sum(cells[number][name] != o.architecture[name] for name in SPACE.distributions)
            for o in members
        ]
        assert min(distances) == 1


def test_the_first_ones_are_random() -> None:
    sampler = RegularizedEvolutionSampler(population_size=4, seed=0)
    assert next(children(sampler, request(observations([1, 2, 3]), number=3)), None) is None
    pruned = [
        Observation(o.number, o.architecture, o.values, True, START) for o in observations([1])
    ]
    assert next(children(sampler, request(observations([1, 2, 3]) + pruned)), None) is None


def test_a_study_whose_trials_complete_out_of_order() -> None:
    """Two workers: the slow trial 0 joins the population when it completes."""
    sampler = RegularizedEvolutionSampler(population_size=2, tournament_size=9, seed=0)
    study = optuna.create_study(sampler=sampler)
    trials = [study.ask() for _ in range(4)]
    cells = [SPACE.suggest(trial) for trial in trials]
    for number, value in ((1, 5.0), (2, 6.0), (3, 7.0), (0, 0.0)):
        study.tell(trials[number], value)
    alive = sampler._view(study).reader(SPACE).read(study, study.trials, except_number=-1)
    assert numbers(sampler.population(alive.completed)) == [0, 3]
    child = SPACE.suggest(study.ask())
    assert sum(child[name] != cells[0][name] for name in child.params) == 1


def test_pruned_trials_are_not_parents() -> None:
    sampler = RegularizedEvolutionSampler(population_size=2, tournament_size=9, seed=0)
    study = optuna.create_study(sampler=sampler)
    cells = []
    for value, state in ((3.0, None), (2.0, None), (0.0, TrialState.PRUNED)):
        trial = study.ask()
        cells.append(SPACE.suggest(trial))
        trial.report(value, 0)
        study.tell(trial, None if state else value, state=state)
    child = SPACE.suggest(study.ask())
    assert sum(child[name] != cells[1][name] for name in child.params) == 1


def test_evolution_improves_on_random_search(error: Callable[[Architecture], float]) -> None:
    best: dict[str, list[float]] = {"evolution": [], "random": []}
    for seed in range(8):
        for name, sampler in {
            "evolution": RegularizedEvolutionSampler(
                population_size=10, tournament_size=5, seed=seed
            ),
            "random": RegularizedEvolutionSampler(population_size=1_000, seed=seed),
        }.items():
            study = optuna.create_study(sampler=sampler)
            study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=60)
            best[name].append(study.best_value)
    assert np.mean(best["evolution"]) < np.mean(best["random"]) - 0.2
