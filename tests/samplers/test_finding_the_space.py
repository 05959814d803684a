"""Where a sampler gets its space from, and that it searches anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import PartialFixedSampler
from optuna.trial import TrialState

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    DARTSSpace,
    FlatSpace,
    NASBench101Space,
    SearchSpace,
)
from optuna_nas.spaces.base import INVALID_REASON

Make = Callable[..., ArchitectureSampler]
Error = Callable[[Architecture], float]
Search = Callable[..., optuna.Study]
Keys = Callable[[optuna.Study, SearchSpace], list[str]]

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "101": NASBench101Space,
    "darts": DARTSSpace,
    "cell": lambda: CellSpace(5, ("mine", "none", "avg_pool_3x3")),
    "flat": lambda: FlatSpace(
        {"x": FloatDistribution(0, 1), "c": CategoricalDistribution(("a", "b", None))}
    ),
}


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_architectures_from_the_first_trial_on(
    make: Make, name: str, given: bool, search: Search, keys: Keys
) -> None:
    """No trial is pruned as invalid, although three in ten random NAS-Bench-101 cells are."""
    space = SPACES[name]()
    study = search(make(space if given else None), space, 20)
    assert all(INVALID_REASON not in trial.user_attrs for trial in study.trials)
    found = keys(study, space)
    assert len(found) == len(set(found)) > 10


def test_the_space_is_found_by_a_worker_that_did_not_store_it(
    make: Make, search: Search, propose: Callable[..., dict[str, Any]]
) -> None:
    space = NASBench101Space()
    study = search(make(), space, 10)
    proposed = propose(make(seed=9), study, space)
    assert space.architecture(proposed)


def test_the_space_given_wins_over_the_trials(make: Make) -> None:
    """A study that so far had other parameters, searched by another sampler."""
    space = CellSpace(3, ("a", "b"))
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    sampler = make(space)
    assert sampler.infer_relative_search_space(study, study.trials[0]) == space.distributions
    study.sampler = sampler
    study.optimize(lambda trial: len(str(space.suggest(trial))), n_trials=3)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_more_parameters_than_the_architecture(make: Make, error: Error) -> None:
    """A learning rate before and one after the architecture are sampled on their own."""
    space = CellSpace(3, ("a", "b", "c"))

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
        value = error(space.suggest(trial))
        return value + rate * trial.suggest_int("epochs", 1, 3)

    study = optuna.create_study(sampler=make())
    study.optimize(objective, n_trials=15)
    rates = [trial.params["rate"] for trial in study.trials]
    assert len(set(rates)) == 15
    assert min(rates) < 1e-3 < 1e-2 < max(rates)
    assert {trial.params["epochs"] for trial in study.trials} == {1, 2, 3}
    found = [space.architecture(trial.params).key for trial in study.trials]
    assert len(set(found)) == 15


def numeric(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_float("y", 1e-3, 1e3, log=True)
    n = trial.suggest_int("n", 0, 20, step=5)
    m = trial.suggest_int("m", 1, 1024, log=True)
    g = trial.suggest_float("g", 0, 1, step=0.25)
    return x**2 + y + n + m + g + len(trial.suggest_categorical("c", ("a", "bbb")))


def conditional(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("kind", ("sgd", "adam")) == "sgd":
        return trial.suggest_float("momentum", 0, 1)
    return 1 + trial.suggest_float("beta", 0, 1) + trial.suggest_int("steps", 1, 5)


def dynamic(trial: optuna.Trial) -> float:
    n = trial.suggest_int("n", 1, 2 + trial.number)
    return n + trial.suggest_float("x", -trial.number, 1 + trial.number)


def constant(trial: optuna.Trial) -> float:
    return trial.suggest_float("one", 1, 1) + trial.suggest_int("n", 0, 50)


@pytest.mark.parametrize("objective", [numeric, conditional, dynamic, constant])
def test_studies_without_a_space(make: Make, objective: Callable[[optuna.Trial], float]) -> None:
    study = optuna.create_study(sampler=make())
    study.optimize(objective, n_trials=30)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    for trial in study.trials:
        for name, distribution in trial.distributions.items():
            internal = distribution.to_internal_repr(trial.params[name])
            assert distribution._contains(internal)
    assert len({str(trial.params) for trial in study.trials}) == 30


def test_an_empty_study_has_no_space(make: Make) -> None:
    study = optuna.create_study(sampler=make())
    study.optimize(lambda _: 1.0, n_trials=3)
    assert make().infer_relative_search_space(study, study.trials[0]) == {}
    assert make().sample_relative(study, study.trials[0], {}) == {}


def test_failed_trials_say_nothing_about_the_space(make: Make) -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("typo", 0, 1)
        raise RuntimeError

    study = optuna.create_study(sampler=make())
    study.optimize(objective, n_trials=2, catch=RuntimeError)
    assert make().infer_relative_search_space(study, study.trials[0]) == {}


def test_parameters_seen_later_join_the_space(make: Make) -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("b", 0, 1), n_trials=2)
    study.optimize(lambda trial: trial.suggest_int("a", 0, 9), n_trials=6)
    distributions = sampler.infer_relative_search_space(study, study.trials[0])
    assert list(distributions) == ["a", "b"]


def test_under_hyperband(make: Make, space: SearchSpace, error: Error) -> None:
    """Optuna then hands samplers a restricted study; architectures are unique over brackets."""
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)

    def objective(trial: optuna.Trial) -> float:
        value = error(space.suggest(trial))
        for step in range(9):
            trial.report(value + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = optuna.create_study(sampler=make(), pruner=pruner)
    study.optimize(objective, n_trials=40)
    states = [trial.state for trial in study.trials]
    assert {TrialState.COMPLETE, TrialState.PRUNED} == set(states)
    found = [space.architecture(trial.params).key for trial in study.trials]
    assert len(set(found)) == 40


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_fixed_parameters(make: Make, space: SearchSpace) -> None:
    """Five functions are left; each is proposed once."""
    fixed = dict.fromkeys(space.distributions, "none") | {
        "edge_0_1": "nor_conv_1x1",
        "edge_1_3": "skip_connect",
    }
    del fixed["edge_0_3"]
    study = optuna.create_study(sampler=PartialFixedSampler(fixed, make()))
    study.optimize(lambda trial: len(str(space.suggest(trial))), n_trials=5)
    for trial in study.trials:
        assert trial.params.items() >= fixed.items()
    assert len({trial.params["edge_0_3"] for trial in study.trials}) == 5
    study.optimize(lambda trial: len(str(space.suggest(trial))), n_trials=2)  # and then repeats
    assert len(study.trials) == 7


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_fixed_parameters_of_a_space_with_invalid_settings(make: Make, error: Error) -> None:
    space = NASBench101Space()
    fixed = {"edge_0_6": False, "edge_0_1": True, "op_1": "maxpool3x3"}
    study = optuna.create_study(sampler=PartialFixedSampler(fixed, make()))
    study.optimize(lambda trial: error(space.suggest(trial)), n_trials=12)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert all(trial.params.items() >= fixed.items() for trial in study.trials)


def test_impossible_requests_are_errors(make: Make) -> None:
    space = NASBench101Space(4)
    study = optuna.create_study(sampler=make())
    study.enqueue_trial({f"edge_{i}_3": False for i in range(3)})
    trial = study.ask()
    with pytest.raises(ValueError, match="No architecture of NASBench101Space has the fixed"):
        space.suggest(trial)
