"""What a trial remembers of how it was proposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import optuna
import pytest

from optuna_nas._proposals import notes_of, parent_of
from optuna_nas.samplers import (
    ArchitectureSampler,
    BananasSampler,
    LocalSearchSampler,
    Proposal,
    RegularizedEvolutionSampler,
    Request,
)
from optuna_nas.spaces import Architecture, NASBench201Space
from optuna_nas.surrogates import MLPEnsemble

SPACE = NASBench201Space()


class Noting(ArchitectureSampler):
    """Proposes what it is given."""

    answers: Iterable[Any] = ()

    def propose(self, request: Request) -> Iterable[Proposal]:
        return cast("Iterable[Proposal]", self.answers)


def cell(seed: int) -> Architecture:
    return SPACE.random(np.random.default_rng(seed))


def asked(sampler: ArchitectureSampler) -> optuna.trial.FrozenTrial:
    """The third trial of a study, that was proposed by a sampler."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=2)
    study.sampler = sampler
    SPACE.suggest(study.ask())
    return study.trials[-1]


def distance(one: Architecture, other: Architecture) -> int:
    return sum(one[name] != other[name] for name in SPACE.distributions)


@pytest.mark.parametrize("deduplicate", [True, False])
def test_parent_and_notes_are_on_the_trial(deduplicate: bool) -> None:
    sampler = Noting(deduplicate=deduplicate, seed=0)
    sampler.answers = [Proposal(cell(5), 1, {"epsilon": 0.5})]
    trial = asked(sampler)
    assert (parent_of(trial), notes_of(trial)) == (1, {"epsilon": 0.5})
    assert SPACE.architecture(trial.params) == cell(5)


def test_those_of_a_proposal_that_was_not_taken_are_not() -> None:
    """The first one is known already; what follows is random and has no parent."""
    first = Noting(seed=0)
    trial = asked(first)
    known = SPACE.architecture(trial.params)
    study = optuna.create_study(sampler=first)
    study.enqueue_trial(known.params)
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=1)
    first.answers = [Proposal(known, 0, {"of": "none"})]
    SPACE.suggest(study.ask())
    assert (parent_of(study.trials[1]), notes_of(study.trials[1])) == (None, {})


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"parent": 1}, 1),
        ({"parent": 2}, None),  # itself
        ({"parent": 7}, None),
        ({"parent": -1}, None),
        ({"parent": "1"}, None),
        ({"parent": True}, None),
        ([1], None),
        ("1", None),
    ],
)
def test_only_an_earlier_trial_is_a_parent(stored: Any, expected: int | None) -> None:
    trial = asked(Noting(seed=0))
    trial.system_attrs["optuna_nas:origin"] = stored
    assert parent_of(trial) == expected
    assert notes_of(trial) == {}


def test_an_architecture_is_no_proposal() -> None:
    sampler = Noting(seed=0)
    sampler.answers = [cell(5)]
    with pytest.raises(TypeError, match=r"Noting\.propose returned <NASBench201Space .*Proposal"):
        asked(sampler)


@pytest.mark.parametrize(
    "sampler",
    [
        RegularizedEvolutionSampler(population_size=4, tournament_size=2, seed=0),
        LocalSearchSampler(n_startup_trials=4, seed=0),
    ],
    ids=["evolution", "local-search"],
)
def test_a_child_is_one_edge_from_its_parent(sampler: ArchitectureSampler) -> None:
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=14)
    parents = [parent_of(trial) for trial in study.trials]
    assert parents[:4] == [None] * 4
    cells = [SPACE.architecture(trial.params) for trial in study.trials]
    children = [(number, parent) for number, parent in enumerate(parents) if parent is not None]
    assert len(children) >= 8
    assert all(distance(cells[child], cells[parent]) == 1 for child, parent in children)


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]])
def test_bananas_names_the_nearest_of_the_best(
    directions: list[Any], error: Callable[[Architecture], float]
) -> None:
    predictor = MLPEnsemble(num_members=2, hidden=(8,), epochs=10)
    sampler = BananasSampler(n_startup_trials=6, predictor=predictor, seed=0)
    study = optuna.create_study(sampler=sampler, directions=directions)

    def objective(trial: optuna.Trial) -> Any:
        architecture = SPACE.suggest(trial)
        values = [error(architecture), -float(len(architecture.key))]
        return values[: len(directions)]

    study.optimize(objective, n_trials=16)
    cells = [SPACE.architecture(trial.params) for trial in study.trials]
    found = [(trial.number, parent_of(trial)) for trial in study.trials]
    assert [parent for _, parent in found[:6]] == [None] * 6
    children = [(child, parent) for child, parent in found if parent is not None]
    assert len(children) >= 2
    for child, parent in children:
        assert distance(cells[child], cells[parent]) < 3
        if len(directions) == 1:
            ranked = sorted(range(child), key=lambda n: (study.trials[n].value, n))[:10]
            assert parent in ranked
            assert distance(cells[child], cells[parent]) == min(
                distance(cells[child], cells[n]) for n in ranked
            )
