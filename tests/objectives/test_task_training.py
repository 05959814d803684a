"""Networks trained on any task: tables, and a task of one's own; export of what was trained."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.study import StudyDirection

from optuna_nas.data import TableData, load_images, load_table
from optuna_nas.errors import UserError
from optuna_nas.export.task import export_task
from optuna_nas.objectives import CellCNN, EnsembleSearch, OneShotSearch, TaskTraining
from optuna_nas.objectives.edge_nes import RandomMembers
from optuna_nas.spaces import EdgeNESSpace, FlatSpace, MLPSpace, NASBench201Space
from optuna_nas.tasks import Task, image_classification, rmse, squared_error, tabular

SPACE = MLPSpace(2, max_width=32)
SMALL: dict[str, Any] = {"epochs": 3, "optimizer": "adamw", "learning_rate": 0.01}


@pytest.fixture(scope="module")
def diabetes() -> TableData:
    return load_table("diabetes", train_size=120, validation_size=40, test_size=40)


def study_of(objective: TaskTraining, trials: int = 2) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(directions=list(objective.directions), sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return study


def test_a_number_is_learnt(diabetes: TableData, tmp_path: Path) -> None:
    objective = TaskTraining(
        SPACE, tabular(diabetes), artifacts=tmp_path, **SMALL | {"epochs": 30}
    )
    assert objective.metric_names == ("validation R2",)
    trial = study_of(objective, 1).best_trial
    attributes = trial.user_attrs
    assert trial.value == attributes["validation_score"] > 0.2
    assert attributes["score"] == "R2" and 0 < attributes["validation_error"] < 0.3
    assert attributes["validation_rows"] == 40 and attributes["test_score"] > 0
    assert len(trial.intermediate_values) == 30 and "test_accuracy" not in attributes


def test_less_error_is_better(diabetes: TableData) -> None:
    objective = TaskTraining(SPACE, tabular(diabetes, score="rmse"), artifacts=None, **SMALL)
    assert objective.directions == (StudyDirection.MINIMIZE,)
    study = study_of(objective)
    assert study.best_value == min(trial.value for trial in study.trials if trial.value)
    assert 20 < study.best_value < 120
    with pytest.raises(ValueError, match="direction"):
        optuna.create_study(direction="maximize").optimize(objective, n_trials=1)


def test_classes_are_learnt() -> None:
    objective = TaskTraining(SPACE, tabular(load_table("iris")), artifacts=None, **SMALL)
    trial = study_of(objective, 1).best_trial
    assert 0 <= trial.user_attrs["test_accuracy"] <= 1
    assert "score" not in trial.user_attrs and trial.user_attrs["test_rows"] == 30


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_trial_goes_on_to_the_same_bits(
    diabetes: TableData, tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout and batch norm, whose random numbers and statistics go on too."""
    params = SPACE.parse("32-16 relu batch 0.25 skip").params
    options = {**SMALL, "optimizer": optimizer, "learning_rate": 0.01}
    whole = TaskTraining(SPACE, tabular(diabetes), artifacts=None, **options).evaluate(params)
    objective = TaskTraining(SPACE, tabular(diabetes), artifacts=tmp_path, **options)
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(params)
    validated, calls = objective._validated, iter(range(9))

    def interrupted(network: torch.nn.Module) -> float:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return validated(network)

    monkeypatch.setattr(objective, "_validated", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)
    study.optimize(objective, n_trials=1)
    assert study.best_value == whole
    assert next(calls) == 4  # three epochs, and the one that was interrupted


def test_the_image_form_trains_the_same_network() -> None:
    digits = load_images("digits", train_size=60, validation_size=30, test_size=30)
    space = NASBench201Space()
    sizes: dict[str, Any] = {"epochs": 1, "channels": 2, "cells": 1, "artifacts": None}
    params = space.random(np.random.default_rng(0)).params
    by_task = TaskTraining(space, image_classification(digits), **sizes)
    assert by_task.evaluate(params) == CellCNN(space, digits, **sizes).evaluate(params)


def test_images_can_have_numbers_to_tell() -> None:
    digits = load_images("digits", train_size=60, validation_size=30, test_size=30)

    def error(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return squared_error(outputs, targets.float())

    task = replace(image_classification(digits), outputs=1, loss=error, score=rmse())
    objective = TaskTraining(
        NASBench201Space(), task, epochs=1, channels=2, cells=1, artifacts=None
    )
    trial = study_of(objective, 1).best_trial
    assert trial.user_attrs["score"] == "RMSE" and trial.value is not None and trial.value > 0


def test_wrong_arguments(diabetes: TableData) -> None:
    task = tabular(diabetes)
    with pytest.raises(TypeError, match="`task` is 'diabetes'; allowed are tasks"):
        TaskTraining(SPACE, "diabetes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"whose networks read images; the task has rows of num"):
        TaskTraining(NASBench201Space(), task, artifacts=None)
    with pytest.raises(TypeError, match="which has no network"):
        flat = FlatSpace({"x": optuna.distributions.IntDistribution(1, 2)})
        TaskTraining(flat, task, artifacts=None)
    with pytest.raises(ValueError, match="`optimizer` is 'adam'; allowed are"):
        TaskTraining(SPACE, task, optimizer="adam", artifacts=None)
    with pytest.raises(ValueError, match="`channels` is 8, but an architecture of MLPSpace"):
        TaskTraining(SPACE, task, channels=8, artifacts=None)


class TestExport:
    def test_of_a_table(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        rows = [(x, "ab"[n % 2], 3 * x + 5 * (n % 2)) for n, x in enumerate(rng.normal(size=80))]
        source = tmp_path / "table.csv"
        lines = [
            f"{'NA' if n % 8 == 0 else x:.6},{c},{y:.6f}" if n % 8 else f"NA,{c},{y:.6f}"
            for n, (x, c, y) in enumerate(rows)
        ]
        source.write_text("x,c,y\n" + "\n".join(lines) + "\n")
        data = load_table(source, target="y", missing=["NA"])
        objective = TaskTraining(SPACE, tabular(data), artifacts=tmp_path / "files", **SMALL)
        study = study_of(objective)
        folder = export_task(objective, study, study.best_trial, tmp_path / "out")
        told = subprocess.run(
            [sys.executable, str(folder / "predict.py"), str(source)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        network = torch.export.load(folder / "model.pt2").module()
        assert told[0] == "y" and len(told) == 81
        found = network(data.test.inputs)[:, 0].detach() * data.target_std + data.target_mean
        printed = {round(float(value), 3) for value in told[1:]}
        assert all(any(abs(p - float(v)) < 2e-3 for p in printed) for v in found)
        lacking = tmp_path / "lacking.csv"
        lacking.write_text("c\na\n")
        again = subprocess.run(
            [sys.executable, str(folder / "predict.py"), str(lacking)],
            capture_output=True,
            text=True,
        )
        assert again.returncode == 1 and "it has no column 'x'" in again.stderr

    def test_of_other_data_than_the_trial(self, diabetes: TableData, tmp_path: Path) -> None:
        objective = TaskTraining(SPACE, tabular(diabetes), artifacts=tmp_path / "files", **SMALL)
        study = study_of(objective, 1)
        changed = replace(diabetes, validation=diabetes.train)
        object.__setattr__(objective, "task", tabular(changed))
        with pytest.raises(UserError, match="Nothing is written: the validation R2 was"):
            export_task(objective, study, study.best_trial, tmp_path / "out")


@pytest.mark.parametrize(
    "search",
    [
        partial(OneShotSearch, NASBench201Space()),
        partial(EnsembleSearch, EdgeNESSpace(), members=RandomMembers(3)),
    ],
    ids=["one-shot", "ensemble"],
)
def test_searches_of_images_say_that_they_take_no_other_task(
    diabetes: TableData, search: Any
) -> None:
    for given, name in ((tabular(diabetes), "Task"), (diabetes, "TableData")):
        with pytest.raises(TypeError, match=rf"^`data` is a {name}; .* are trained by TaskTr"):
            search(data=given, artifacts=None)


def test_a_task_is_what_its_fields_say(diabetes: TableData) -> None:
    task = tabular(diabetes)
    assert isinstance(task, Task) and task.splits.test is diabetes.test
    moved = task.splits.to("cpu")
    assert moved.train is diabetes.train
