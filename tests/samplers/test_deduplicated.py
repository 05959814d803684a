"""Optuna's samplers without repeats."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import (
    BaseSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
)
from optuna.trial import TrialState

from optuna_nas.samplers import BananasSampler, Deduplicated
from optuna_nas.spaces import CellSpace, NASBench101Space, NASBench201Space

FEW = CellSpace(3, ("skip_connect", "a", "b", "c"))
SPACE = NASBench201Space()


class Stubborn(RandomSampler):
    """Always proposes the same, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.asked = 0

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        self.asked += 1
        return distribution.choices[0]


def keys(study: optuna.Study, space: Any) -> list[str]:
    return [space.architecture(trial.params).key for trial in study.trials]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: TPESampler(seed=0, n_startup_trials=5),
        lambda: TPESampler(seed=0, n_startup_trials=5, multivariate=False),
        lambda: RandomSampler(seed=0),
        lambda: NSGAIISampler(seed=0, population_size=5),
        lambda: QMCSampler(seed=0),
    ],
    ids=["tpe", "tpe-univariate", "random", "nsgaii", "qmc"],
)
def test_nothing_comes_twice(make: Callable[[], BaseSampler]) -> None:
    """30 of the 46 functions of a small space, of which an objective likes a few only."""

    def objective(trial: optuna.Trial) -> float:
        return len(FEW.suggest(trial).key)

    plain = optuna.create_study(sampler=make())
    plain.optimize(objective, n_trials=30)
    assert len(set(keys(plain, FEW))) < 30
    study = optuna.create_study(sampler=Deduplicated(make(), seed=0))
    study.optimize(objective, n_trials=30)
    assert len(set(keys(study, FEW))) == 30


def test_it_is_the_sampler_that_proposes_as_long_as_that_is_new() -> None:
    """The same parameters as the sampler alone, as it draws the same random numbers."""

    def objective(trial: optuna.Trial) -> float:
        return len(SPACE.suggest(trial).key)

    found = []
    for sampler in (RandomSampler(seed=4), Deduplicated(RandomSampler(seed=4), seed=0)):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=10)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1]


def test_who_only_repeats_itself_is_asked_so_often_and_then_changed() -> None:
    stubborn = Stubborn()
    study = optuna.create_study(sampler=Deduplicated(stubborn, attempts=3, seed=0))
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=3)
    assert stubborn.asked == 6 * (1 + 3 + 3)
    assert len(set(keys(study, SPACE))) == 3
    first, second, _ = (trial.params for trial in study.trials)
    assert set(first.values()) == {SPACE.operations[0]}
    assert sum(first[name] != second[name] for name in first) <= 2


def test_what_cannot_be_built_is_not_evaluated() -> None:
    space = NASBench101Space()
    study = optuna.create_study(sampler=Deduplicated(RandomSampler(seed=0), seed=0))
    study.optimize(lambda trial: len(space.suggest(trial).key), n_trials=10)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


def test_it_can_be_pickled() -> None:
    sampler = pickle.loads(pickle.dumps(Deduplicated(TPESampler(seed=0), seed=0)))
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(FEW.suggest(trial).key), n_trials=12)
    assert len(set(keys(study, FEW))) == 12


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("tpe",), {}, TypeError, "`sampler` is 'tpe'; allowed are samplers of Optuna"),
        ((BananasSampler(seed=0),), {}, TypeError, "have no repeats by themselves"),
        ((RandomSampler(),), {"attempts": 0}, ValueError, "`attempts` is 0"),
        ((RandomSampler(), "cells"), {}, TypeError, "`space` is 'cells'"),
    ],
)
def test_bad_arguments(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Deduplicated(*arguments, **options)


class TestConformance(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=[lambda: Deduplicated(RandomSampler(seed=0)), lambda: Deduplicated(
        TPESampler(n_startup_trials=0)
    )])  # fmt: skip
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        factory: Callable[[], BaseSampler] = request.param
        return factory
