"""Searches on shared weights by any method, as one trial."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optuna_nas.data import ImageData
from optuna_nas.methods import METHODS, AllOperations, Engine, Method, Schedule, Sigmoid
from optuna_nas.objectives import Darts, OneShotSearch, derived_params
from optuna_nas.spaces import NASBench101Space, NASBench201Space

Make = Callable[..., OneShotSearch]
FEW = {
    "candidates": 4,
    "finalists": 2,
    "evaluations": 4,
    "warm_up_epochs": 0,
    "tuning_epochs": 0,
    "samples": 2,
}


@pytest.fixture
def small(few_digits: ImageData) -> Make:
    """Make an objective whose searches take a fraction of a second."""

    def make(**options: Any) -> OneShotSearch:
        settings: dict[str, Any] = {
            "space": NASBench201Space(),
            "data": few_digits,
            "epochs": 1,
            "batch_size": 32,
            "channels": 4,
            "cells": 1,
            "artifacts": None,
        }
        return OneShotSearch(**settings | options)

    return make


def run(objective: OneShotSearch, n_trials: int = 1) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=n_trials)
    return study


@pytest.mark.parametrize("name", METHODS)
def test_every_method_as_a_trial(name: str, small: Make, tmp_path: Path) -> None:
    known = {n: v for n, v in FEW.items() if n in METHODS[name].options}
    objective = small(method=name, artifacts=tmp_path, **known)
    study = run(objective)
    [trial] = study.trials
    assert trial.value is not None and 0 <= trial.value <= 1
    architecture = objective.space.architecture(derived_params(trial))
    assert str(architecture) == trial.user_attrs["architecture"]
    files = {m.filename for m in get_all_artifact_meta(trial, storage=study._storage)}
    learnt = {"trajectory.svg", "trajectory.npz", "derived_cells.csv"}
    moves = METHODS[name].step is not None
    assert files == {"cell.svg", "learning_curve.svg"} | (learnt if moves else set())
    assert run(objective).trials[0].value == trial.value


def test_darts_is_the_short_form(small: Make, few_digits: ImageData) -> None:
    options: dict[str, Any] = {"epochs": 1, "batch_size": 32, "order": 2, "xi": 0.05}
    sizes: dict[str, Any] = {"channels": 4, "cells": 1, "artifacts": None}
    short = Darts(NASBench201Space(), few_digits, **options, **sizes)
    assert short.evaluate({}) == small(method="darts", **options).evaluate({})
    assert short.search.methods["darts"].values == METHODS["darts"].with_options(**options).values


def test_trials_choose_among_methods(small: Make) -> None:
    """An option that not all of them have counts for those that have it."""
    objective = small(
        method=CategoricalDistribution(["darts", "gdas"]),
        learning_rate=FloatDistribution(0.01, 0.1),
        temperature=FloatDistribution(1.0, 5.0),
    )
    assert set(objective.search_space) == {"method", "learning_rate", "temperature"}
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"method": "darts", "learning_rate": 0.02})
    study.enqueue_trial({"method": "gdas", "learning_rate": 0.03, "temperature": 2.0})
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.params == {"method": "darts", "learning_rate": 0.02}
    assert second.params == {"method": "gdas", "learning_rate": 0.03, "temperature": 2.0}


def test_presets(small: Make) -> None:
    """Those of small data are the method's; what is given counts all the same."""
    found = small(method="gdas", preset="small", batch_size=16).search.methods["gdas"].values
    assert found["architecture_learning_rate"] == 3e-3
    assert (found["epochs"], found["batch_size"]) == (1, 16)
    published = small(method="gdas").search.methods["gdas"].values
    assert published["architecture_learning_rate"] == 3e-4


def test_a_method_of_ones_own(small: Make) -> None:
    mine = Method(
        name="mine",
        summary="sigmoids without a loss of their own",
        relaxation=Sigmoid(),
        execution=AllOperations(),
        schedule=Schedule(architecture_learning_rate=0.1),
    )
    trial = run(small(method=mine)).trials[0]
    assert derived_params(trial)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nas"}, "`method` is 'nas'; allowed are ['darts', 'darts_pt', 'enas', "),
        ({"method": 3}, "`method` is 3; allowed are "),
        ({"method": CategoricalDistribution(["darts", "x"])}, "`method` is 'x'; allowed are "),
        ({"preset": "tiny"}, "`preset` is 'tiny'; allowed are ['published', 'small']"),
        ({"temperature": 2.0}, "`temperature` is 2.0, but it is no option of ['darts']; allowed"),
        ({"method": "gdas", "temperature": 0.0}, "`temperature` is 0.0; allowed are positive"),
        ({"epochs": IntDistribution(1, 3)}, "`epochs` is IntDistribution(high=3, log=False, low="),
        (
            {"method": "gdas", "temperature": FloatDistribution(0.0, 1.0)},
            "`temperature` is FloatDistribution(high=1.0, log=False, low=0.0, step=None), which ",
        ),
        ({"method": "random_ws", "finalists": 2000}, "`finalists` is 2000; allowed is an integer"),
        ({"method": "pc_darts", "channels": 6}, "`partial_channels` is 4, but a node has 6 chan"),
    ],
)
def test_wrong_arguments(small: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}"):
        small(**options)


def test_spaces_without_a_supernet(small: Make) -> None:
    with pytest.raises(TypeError, match="has no supernet"):
        small(space=NASBench101Space(), method="gdas")


@pytest.mark.parametrize("name", ["darts", "gdas"])
@pytest.mark.parametrize("change", [{"weight_decay": 0.1}, {"method": "fair_darts"}])
def test_the_fingerprint_tells_methods_apart(
    small: Make, name: str, change: dict[str, Any]
) -> None:
    """A checkpoint of another method or of other options is not gone on with."""
    [same, other] = (
        method.describe()
        for options in ({}, change)
        for method in small(**{"method": name} | options).search.methods.values()
    )
    assert same != other
    assert same == small(method=name).search.methods[name].describe()


def test_a_trial_ends_where_its_method_stops(small: Make) -> None:
    def after_one(search: Engine) -> int | None:
        return 0

    method = replace(METHODS["darts"], stopping=after_one)
    study = run(small(method=method, epochs=4))
    assert list(study.trials[0].intermediate_values) == [0]


def test_the_method_of_the_documentation(small: Make) -> None:
    """As it stands there, and with its own option given and suggested."""
    text = (Path(__file__).parents[2] / "docs" / "methods.md").read_text()
    [code] = [c for c in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "FRUGAL" in c]
    found: dict[str, Any] = {}
    exec(code, found)
    objective = small(method=found["FRUGAL"], price=FloatDistribution(0.1, 5.0))
    [trial] = run(objective).trials
    assert set(trial.params) == {"price"}
