"""What values mean: directions, infinities, failures; one objective only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import TrialState

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import Architecture, SearchSpace

Make = Callable[..., ArchitectureSampler]
Error = Callable[[Architecture], float]
Direction = Literal["minimize", "maximize"]


def searched(
    sampler: ArchitectureSampler,
    space: SearchSpace,
    value: Callable[[Architecture], float],
    direction: Direction,
) -> list[dict[str, Any]]:
    """Parameters of all trials; every fourth one is pruned after a report."""
    sign = 1 if direction == "minimize" else -1

    def objective(trial: optuna.Trial) -> float:
        final = sign * value(space.suggest(trial))
        trial.report(final + sign * (trial.number % 3), 1)
        if trial.number % 4 == 3:
            raise optuna.TrialPruned
        return final

    study = optuna.create_study(sampler=sampler, direction=direction)
    study.optimize(objective, n_trials=20)
    return [trial.params for trial in study.trials]


def test_maximising_mirrors_minimising(make: Make, space: SearchSpace, error: Error) -> None:
    low = searched(make(), space, error, "minimize")
    high = searched(make(), space, error, "maximize")
    assert low == high
    assert low != searched(make(), space, lambda a: -error(a), "minimize")


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_infinities_do_not_hurt(
    make: Make, space: SearchSpace, error: Error, direction: Direction
) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = error(space.suggest(trial))
        return {2: float("inf"), 5: float("-inf")}.get(trial.number % 9, value)

    study = optuna.create_study(sampler=make(), direction=direction)
    study.optimize(objective, n_trials=20)
    assert len({space.architecture(trial.params).key for trial in study.trials}) == 20


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0])
def test_only_useless_values(make: Make, space: SearchSpace, value: float) -> None:
    study = optuna.create_study(sampler=make())
    study.optimize(lambda trial: (space.suggest(trial), value)[1], n_trials=12)
    assert len(study.trials) == 12


def test_failures_and_prunings_everywhere(make: Make, space: SearchSpace, error: Error) -> None:
    def objective(trial: optuna.Trial) -> float:
        architecture = space.suggest(trial)
        if trial.number % 3 == 0:
            raise RuntimeError
        if trial.number % 3 == 1:
            raise optuna.TrialPruned  # without any report
        return error(architecture)

    study = optuna.create_study(sampler=make())
    study.optimize(objective, n_trials=30, catch=RuntimeError)
    states = [trial.state for trial in study.trials]
    assert [states.count(s) for s in (TrialState.FAIL, TrialState.PRUNED)] == [10, 10]


def test_trials_that_never_end(make: Make, space: SearchSpace, error: Error) -> None:
    """Left behind by workers that were killed: with all, some or no parameters."""
    study = optuna.create_study(sampler=make())
    space.suggest(study.ask())
    study.ask().suggest_categorical("edge_0_1", ["none", *space_choices(space)[1:]])
    study.ask()
    study.optimize(lambda trial: error(space.suggest(trial)), n_trials=12)
    assert sum(trial.state == TrialState.RUNNING for trial in study.trials) == 3
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert len({space.architecture(trial.params).key for trial in done}) == 12


def space_choices(space: SearchSpace) -> tuple[Any, ...]:
    distribution = space.distributions["edge_0_1"]
    assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
    return distribution.choices


@pytest.mark.parametrize("with_space", [True, False])
def test_several_objectives(make: Make, space: SearchSpace, with_space: bool) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        if with_space:
            operations = list(space.suggest(trial).params.values())
            return operations.count("none"), operations.count("nor_conv_3x3")
        x = trial.suggest_float("x", 0, 1)
        return x, x**2

    study = optuna.create_study(sampler=make(), directions=["minimize", "maximize"])
    study.optimize(objective, n_trials=12)
    assert len({str(trial.params) for trial in study.trials}) == 12
