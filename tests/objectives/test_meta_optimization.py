"""Settings that are learnt by gradient, as one trial."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from torch import Tensor

from optuna_nas.meta import HYPERGRADIENTS, Tensors, Unrolling
from optuna_nas.objectives import MetaOptimization
from optuna_nas.samplers import BananasSampler
from tests.meta.ridge import Ridge

RIDGE = Ridge.random(examples=8, seed=10)


def objective(problem: Any = RIDGE, **options: Any) -> MetaOptimization:
    settings: dict[str, Any] = {"hyper": {"log_decay": -3.0}, "steps": 10, "epochs": 3}
    settings["artifacts"] = None
    return MetaOptimization(problem, **settings | options)


def run(made: MetaOptimization, n_trials: int = 1, **arguments: Any) -> optuna.Study:
    sampler = arguments.pop("sampler", optuna.samplers.RandomSampler(0))
    study = optuna.create_study(sampler=sampler, **arguments)
    study.optimize(made, n_trials=n_trials)
    return study


@pytest.mark.parametrize("method", HYPERGRADIENTS)
def test_every_method_as_a_trial(method: str, tmp_path: Path) -> None:
    made = objective(method=method, artifacts=tmp_path)
    study = run(made)
    [trial] = study.trials
    assert trial.value is not None and math.isfinite(trial.value)
    assert list(trial.intermediate_values) == [0, 1, 2]
    assert trial.user_attrs["training_steps"] == 40
    files = {m.filename: m for m in get_all_artifact_meta(trial, storage=study._storage)}
    assert set(files) == {"learning_curve.svg", "settings.npz", "log_decay.svg"}
    content = (tmp_path / "files" / files["settings.npz"].artifact_id).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        assert arrays["log_decay"].shape == (4,)
        assert arrays["log_decay"][0] == -3.0 != arrays["log_decay"][3]
    assert made.evaluate({}) == trial.value == run(made).trials[0].value


def test_without_a_method_the_sampler_searches() -> None:
    """What is suggested is what is trained with: ridge regression has its closed form."""
    made = objective(
        hyper={"log_decay": FloatDistribution(-6, 2)},
        method="none",
        steps=400,
        learning_rate=1.0,
    )
    study = run(made, 3)
    for trial in study.trials:
        vector = RIDGE.optimum(trial.params["log_decay"])
        weights = {"a": vector[:2], "b": vector[2:].reshape(-1, 1)}
        assert trial.value == pytest.approx(float(RIDGE.validation_loss(weights, 0)), rel=1e-3)
        assert trial.user_attrs["training_steps"] == 400
        assert not trial.intermediate_values


@pytest.mark.parametrize("sampler", ["tpe", "bananas"])
def test_descents_and_samplers_in_one_study(sampler: str) -> None:
    samplers: dict[str, optuna.samplers.BaseSampler] = {
        "tpe": optuna.samplers.TPESampler(n_startup_trials=2, seed=0),
        "bananas": BananasSampler(n_startup_trials=2, seed=0),
    }
    made = objective(
        hyper={"log_decay": [FloatDistribution(-4, 0)] * 4 + [-1.0]},
        method=CategoricalDistribution(["none", "rmad", "drmad"]),
        learning_rate=FloatDistribution(0.01, 0.3, log=True),
    )
    study = run(made, 5, sampler=samplers[sampler])
    for trial in study.trials:
        assert trial.state == TrialState.COMPLETE
        expected = {"method", "learning_rate", *(f"log_decay[{i}]" for i in range(4))}
        assert set(trial.params) == expected == set(made.search_space)


def test_what_is_learnt_by_step(tmp_path: Path) -> None:
    made = objective(learnt=["learning_rate", "momentum"], by_step=True, artifacts=tmp_path)
    study = run(made)
    names = {m.filename for m in get_all_artifact_meta(study.trials[0], storage=study._storage)}
    for name in ("learning_rate", "momentum"):
        assert {f"{name}.svg", f"{name}_by_step.svg"} <= names


def test_scores_of_a_problem_are_logged() -> None:
    class Scored(Ridge):
        def scores(self, weights: Tensors) -> dict[str, float]:
            return {"norm": float(self.vector(weights).norm())}

    made = objective(Scored(**vars(RIDGE)))
    assert run(made).trials[0].user_attrs["norm"] > 0


def test_an_interrupted_trial_goes_on_to_the_bit(tmp_path: Path) -> None:
    class Interrupted(Ridge):
        calls = 0

        def validation_loss(self, weights: Tensors, batch: int) -> Tensor:
            Interrupted.calls += 1
            if Interrupted.calls == 4:  # one is the check of the arguments
                raise KeyboardInterrupt
            return super().validation_loss(weights, batch)

    whole = run(objective(), 1).trials[0]
    made = objective(Interrupted(**vars(RIDGE)), artifacts=tmp_path)
    study = optuna.create_study()
    with pytest.raises(KeyboardInterrupt):
        study.optimize(made, n_trials=1)
    study.optimize(made, n_trials=1)
    trial = study.trials[-1]
    assert trial.state == TrialState.COMPLETE and trial.number == 1
    assert trial.value == whole.value
    assert trial.intermediate_values == whole.intermediate_values
    assert trial.user_attrs["resumed_from_epoch"] == 1


def test_a_pruner_stops_a_descent(tmp_path: Path) -> None:
    made = objective(artifacts=tmp_path)
    study = run(made, pruner=optuna.pruners.ThresholdPruner(upper=1e-9))
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED and list(trial.intermediate_values) == [0]
    names = {m.filename for m in get_all_artifact_meta(trial, storage=study._storage)}
    assert "settings.npz" in names


def test_a_descent_that_diverges_is_pruned() -> None:
    """The message has the number of the step."""
    study = run(objective(learning_rate=300.0, method="drmad", steps=400))
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED
    assert " in step " in trial.user_attrs["diverged"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "hoag"}, r"^`method` is 'hoag'; allowed are \['drmad', 'greedy', 'implicit'"),
        ({"method": 3}, r"^`method` is 3; allowed are "),
        ({"method": CategoricalDistribution(["rmad", "x"])}, r"^`method` is 'x'; allowed are "),
        ({"steps": 0}, r"^`steps` is 0; allowed is an integer of 1 or more"),
        ({"epochs": 0}, r"^`epochs` is 0; allowed is an integer of 1 or more"),
        (
            {"learnt": ["rate"]},
            r"^`learnt` is 'rate'; allowed are \['learning_rate', 'momentum'\]",
        ),
        ({"by_step": True}, r"^`by_step` is True, but `learnt` is empty"),
        (
            {"learnt": ["momentum"], "method": "implicit"},
            r"^`learnt` is \['momentum'\], of which the method 'implicit' has no gradient",
        ),
        ({"momentum": 1.0}, r"^`momentum` is 1.0; allowed are numbers from 0 to below 1"),
        ({"learning_rate": 0.0}, r"^`learning_rate` is 0.0; allowed are positive"),
        ({"meta_learning_rate": -1.0}, r"^`meta_learning_rate` is -1.0; allowed are positive"),
        ({"hyper": {"log_decay": "x"}}, r"^`hyper` has 'log_decay' with 'x'; allowed are numbers"),
        ({"hyper": {"log_decay": math.nan}}, r"^`hyper` has 'log_decay' that is not finite"),
        ({"seed": -1}, r"^`seed` is -1; allowed"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective(**options)


def test_a_problem_that_cannot_work_is_refused_at_once() -> None:
    away = replace(RIDGE, x_validation=RIDGE.x_validation.to("meta"))
    with pytest.raises((ValueError, RuntimeError), match=r"^`validation_loss` .* batch 0"):
        objective(away)


def test_a_study_that_maximises_is_refused() -> None:
    study = optuna.create_study(direction="maximize")
    with pytest.raises(ValueError, match="need"):
        study.optimize(objective(), n_trials=1)


def test_settings_of_a_method_are_in_the_fingerprint() -> None:
    made = objective()
    first, second = (
        replace(made._chosen({}), method=method) for method in (Unrolling(), Unrolling(window=2))
    )
    assert made._fingerprint(first) != made._fingerprint(second)
    assert torch.equal(first.hyper["log_decay"], torch.tensor(-3.0))
