"""Conditional parameters: what is not used tells nothing apart, and is not learnt from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from optuna_nas.samplers import ArchitectureSampler, BananasSampler
from optuna_nas.samplers._activity import Activity
from optuna_nas.spaces import FlatSpace

Direction = Literal["minimize", "maximize"]
Make = Callable[..., ArchitectureSampler]

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "layers": IntDistribution(1, 3),
    "units_0": IntDistribution(4, 64),
    "units_1": IntDistribution(4, 64),
    "units_2": IntDistribution(4, 64),
    "optimizer": CategoricalDistribution(("adam", "sgd", "none")),
    "momentum": FloatDistribution(0, 1),
    "nesterov": CategoricalDistribution((False, True)),
    "rate": FloatDistribution(1e-4, 1, log=True),
}
SPACE = FlatSpace(DISTRIBUTIONS)


def used(params: dict[str, Any]) -> dict[str, Any]:
    """What an objective would ask for."""
    names = ["layers", *(f"units_{n}" for n in range(params["layers"])), "optimizer"]
    if params["optimizer"] != "none":
        names.append("rate")
    if params["optimizer"] == "sgd":
        names += ["momentum", *(["nesterov"] if params["momentum"] > 0.5 else [])]
    return {name: params[name] for name in names}


@pytest.fixture
def activity(rng: np.random.Generator) -> Activity:
    settings = [used(SPACE.random(rng).params) for _ in range(60)]
    architectures = [SPACE.read(setting) for setting in settings]
    return Activity([a for a in architectures if a is not None])


def test_what_is_used_is_learnt_from_those_that_used_it(
    activity: Activity, rng: np.random.Generator
) -> None:
    assert activity.conditional
    right = 0
    for _ in range(200):
        full = SPACE.random(rng)
        right += activity.reduced(full).params == used(full.params)
    assert right >= 190  # the threshold of the momentum is between two trials


def test_what_a_new_branch_needs_is_drawn(activity: Activity) -> None:
    narrow = SPACE.read({"layers": 3, "units_0": 9, "optimizer": "none"})
    assert narrow is not None
    wide = activity.reduced(narrow)
    assert wide.params.keys() == {"layers", "units_0", "units_1", "units_2", "optimizer"}
    assert activity.reduced(wide) == wide == activity.reduced(narrow)  # always the same


def test_who_has_all_values_of_a_trial_goes_its_way() -> None:
    """Whatever rule explains it: here none does."""
    rng = np.random.default_rng(0)
    space = FlatSpace({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)})
    odd = [
        space.read({"a": a} if n % 3 else {"a": a, "b": 0.5}) for n, a in enumerate(rng.random(20))
    ]
    seen = [architecture for architecture in odd if architecture is not None]
    activity = Activity(seen)
    for architecture in seen:
        full = space.read({"b": 0.5, **architecture.params})
        assert full is not None and activity.reduced(full) == architecture
    assert "b" in activity.reduced(space.random(rng))


def test_trials_that_all_used_everything_are_left_alone(rng: np.random.Generator) -> None:
    full = [SPACE.random(rng) for _ in range(5)]
    activity = Activity(full)
    assert not activity.conditional and activity.reduced(full[0]) is full[0]
    assert Activity([]).reduced(full[0]) is full[0]


def setting(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
    return tuple(sorted(trial.params.items()))


def layers(trial: optuna.Trial) -> float:
    n = trial.suggest_int("layers", 1, 3)
    sizes = [trial.suggest_int(f"units_{i}", 4, 64, log=True) for i in range(n)]
    return 1 - 1 / (1 + math.sqrt(sum(sizes))) - 0.05 * n


def branches(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("kind", ("a", "b")) == "a":
        return trial.suggest_float("x", 0, 1, step=0.05)
    if trial.suggest_categorical("deep", (False, True)):
        return 0.4 + trial.suggest_int("y", 0, 20) / 50
    return 0.3


@pytest.mark.parametrize("objective", [layers, branches])
def test_no_setting_is_evaluated_twice(
    make: Make, objective: Callable[[optuna.Trial], float]
) -> None:
    study = optuna.create_study(direction="maximize", sampler=make())
    study.optimize(objective, n_trials=32)
    counts = Counter(map(setting, study.trials))
    assert sum(counts.values()) - len(counts) <= 1  # before anything is known of the branches


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_not_within_a_batch_either(directions: list[Direction]) -> None:
    sampler = BananasSampler(seed=3, batch_size=4)
    study = optuna.create_study(directions=directions, sampler=sampler)
    for _ in range(10):
        batch = [study.ask() for _ in range(4)]
        for trial in batch:
            value = layers(trial)
            study.tell(trial, [value, -value][: len(directions)])
    counts = Counter(map(setting, study.get_trials(states=(TrialState.COMPLETE,))))
    assert sum(counts.values()) - len(counts) <= 1


def test_a_model_sees_only_what_is_used() -> None:
    """Its candidates look as the trials do: without what is not used."""
    seen: list[dict[str, Any]] = []

    class Spy(BananasSampler):
        def _rank(self, request: Any, history: Any, start: int, **options: Any) -> list[Any]:
            ranked = super()._rank(request, history, start, **options)
            seen.extend(a.params for a in ranked)
            return ranked

    study = optuna.create_study(direction="maximize", sampler=Spy(seed=0))
    study.optimize(layers, n_trials=24)
    assert len(seen) > 100
    for params in seen[len(seen) // 2 :]:
        assert params.keys() == {"layers", *(f"units_{n}" for n in range(params["layers"]))}
