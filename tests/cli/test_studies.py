"""What a study says of its search, and how that changes when the search goes on."""

from __future__ import annotations

import copy
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import optuna_dashboard
import pytest

from optuna_nas.cli.config import SearchConfig
from optuna_nas.cli.objectives import RECIPES
from optuna_nas.cli.same_data import DATA_ATTRIBUTE
from optuna_nas.cli.studies import (
    CONFIG_ATTRIBUTE,
    check_study,
    find_config,
    load_study,
    open_study,
)
from optuna_nas.data import ImageSplit
from optuna_nas.objectives import CellCNN
from optuna_nas.trials import TrialRun

Open = Callable[[SearchConfig, str], tuple[optuna.Study, list[str]]]


@pytest.fixture(scope="module")
def objective() -> CellCNN:
    config = {"epochs": 1, "channels": 4, "cells": 1}
    options = {**RECIPES["cell-cnn"].defaults, **config, "train_size": 100, "test_size": 40}
    made = RECIPES["cell-cnn"].make_objective(options, 0, "files")
    assert isinstance(made, CellCNN)
    return made


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchConfig:
    monkeypatch.chdir(tmp_path)
    return SearchConfig(
        study="cells",
        storage="sqlite:///nas.db",
        artifacts="files",
        objective="cell-cnn",
        sampler="bananas",
        pruner="none",
        seed=0,
        options={**RECIPES["cell-cnn"].defaults, "epochs": 1, "device": "cpu"},
    )


@pytest.fixture
def opened(objective: CellCNN, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the study of settings, as if this was typed behind `optuna-nas`."""

    def open_(config: SearchConfig, typed: str) -> tuple[optuna.Study, list[str]]:
        monkeypatch.setattr(sys, "argv", ["optuna-nas", *typed.split()])
        return open_study(config, objective)

    return open_


def stored(study: optuna.Study) -> dict[str, Any]:
    attributes = study._storage.get_study_user_attrs(study._study_id)[CONFIG_ATTRIBUTE]
    assert isinstance(attributes, dict)
    return attributes


def publish(study: optuna.Study, folder: str) -> None:
    """Run a trial that leaves a picture in a folder."""

    def run(trial: optuna.Trial) -> float:
        TrialRun(trial, folder).publish("cell.svg", "<svg/>")
        return 0.5

    study.optimize(run, n_trials=1)


def test_finding_settings_makes_nothing(
    config: SearchConfig, tmp_path: Path, opened: Open
) -> None:
    assert find_config("cells", "sqlite:///nas.db") is None
    assert find_config("cells", "nas.journal") is None
    assert list(tmp_path.iterdir()) == []
    opened(config, "search")
    assert find_config("other", "sqlite:///nas.db") is None
    assert find_config("cells", "sqlite:///nas.db") == config.on_any_machine()


def test_the_same_search_again_changes_nothing(config: SearchConfig, opened: Open) -> None:
    study, changes = opened(config, "search --pruner none")
    before = stored(study)
    assert changes == [] and before["command"] == "optuna-nas search --pruner none"
    other_machine = replace(
        config,
        storage=f"sqlite:///{Path('nas.db').absolute()}",
        options={**config.options, "device": None},
    )
    again, changes = opened(other_machine, "search --pruner none --more 3")
    assert changes == [] and stored(again) == before


def test_what_may_change_is_stored_with_the_command_that_changed_it(
    config: SearchConfig, opened: Open
) -> None:
    opened(config, "search")
    study, changes = opened(replace(config, sampler="tpe"), "search --sampler tpe")
    assert changes == ["sampler was 'bananas' and is 'tpe'"]
    assert stored(study)["config"]["sampler"] == "tpe"
    assert stored(study)["command"] == "optuna-nas search\noptuna-nas search --sampler tpe"
    note = optuna_dashboard.get_note(study)
    assert "| sampler | tpe |" in note and "bananas" not in note
    assert "\n    optuna-nas search \\\n        --sampler tpe\n" in note


def test_a_note_that_was_edited_stays(config: SearchConfig, opened: Open) -> None:
    study, _ = opened(config, "search")
    optuna_dashboard.save_note(study, "my thoughts")
    study, changes = opened(replace(config, pruner="median"), "search --pruner median")
    assert changes and stored(study)["config"]["pruner"] == "median"
    assert optuna_dashboard.get_note(study) == "my thoughts"


def test_what_decides_the_values_stays(config: SearchConfig, opened: Open) -> None:
    study, _ = opened(config, "search")
    before = stored(study)
    other = replace(config, sampler="tpe", options={**config.options, "epochs": 2})
    with pytest.raises(ValueError, match="epochs was 1 and is 2"):
        opened(other, "search")
    assert stored(study) == before


def test_the_folder_of_artifacts_may_be_moved_but_not_left(
    config: SearchConfig, opened: Open
) -> None:
    study, _ = opened(config, "search")
    elsewhere = replace(config, artifacts="elsewhere")
    study, changes = opened(elsewhere, "search")  # nothing is there yet that could be left
    assert changes == ["artifacts was 'files' and is 'elsewhere'"]
    opened(config, "search")
    publish(study, "files")
    with pytest.raises(ValueError, match=r"are in 'files'\. Move that folder first, or go on wi"):
        opened(elsewhere, "search")
    assert stored(study)["config"]["artifacts"] == "files"
    assert opened(replace(config, artifacts=str(Path("files").absolute())), "search")[1]
    shutil.copytree("files", "elsewhere")  # as seen from another machine
    assert opened(elsewhere, "search")[1]
    shutil.rmtree("elsewhere")  # the files are lost: there is nothing to wait for
    assert opened(replace(config, artifacts="new"), "search")[1]
    assert stored(study)["config"]["artifacts"] == "new"


def test_settings_from_before_there_were_objectives_go_on(
    config: SearchConfig, opened: Open
) -> None:
    study, _ = opened(config, "search")
    old = stored(study)
    settings = {k: v for k, v in old["config"].items() if k not in ("objective", "options")}
    options = dict(old["config"]["options"])
    settings |= {"space": options.pop("space"), "data": options.pop("data")}
    loading = {name: options.pop(name) for name in list(options) if name.endswith("_size")}
    settings |= {"loading": loading, "training": {**options, "device": "cuda:9"}}
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "optuna-nas search", "config": settings})
    found = find_config("cells", config.storage)
    assert found is not None and found.on_any_machine() == config.on_any_machine()
    study, changes = opened(replace(config, pruner="median"), "search --pruner median")
    assert changes and stored(study)["config"]["options"] == config.on_any_machine().options


def test_a_study_of_a_newer_version_can_be_looked_at(config: SearchConfig, opened: Open) -> None:
    study, _ = opened(config, "search")
    newer = {**stored(study), "config": {**config.to_dict(), "objective": "perceptron"}}
    study.set_user_attr(CONFIG_ATTRIBUTE, newer)
    assert load_study("cells", config.storage).study_name == "cells"
    with pytest.raises(ValueError, match="`objective` is 'perceptron'"):
        opened(config, "search")


def test_of_two_first_searches_with_other_settings_one_is_refused(
    config: SearchConfig, objective: CellCNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["optuna-nas", "search"])
    for number in range(3):
        start = threading.Barrier(2)

        def begin(epochs: int) -> int:
            options = {**config.options, "epochs": epochs}
            here = replace(config, study=f"cells {number}", options=options)  # noqa: B023
            start.wait()  # noqa: B023
            try:
                open_study(here, objective)
            except ValueError as error:
                assert "was made with other settings" in str(error)
                return 0
            return epochs

        with ThreadPoolExecutor(2) as pool:
            begun = sum(pool.map(begin, (1, 2)))
        found = find_config(f"cells {number}", config.storage)
        assert found is not None and found.options["epochs"] == begun


def test_of_two_equal_first_searches_both_go_on(config: SearchConfig, opened: Open) -> None:
    opened(config, "search --trials 3")
    again, changes = opened(config, "search --trials 4")
    assert changes == [] and stored(again)["command"] == "optuna-nas search --trials 3"


def relabelled(objective: CellCNN) -> CellCNN:
    """The objective with labels that were corrected."""
    data = objective.data
    split = ImageSplit(data.train.images, data.train.labels.roll(1))
    other = copy.copy(objective)
    other.data = replace(data, train=split)
    return other


def test_other_data_are_refused(config: SearchConfig, opened: Open, objective: CellCNN) -> None:
    study, _ = opened(config, "search")
    assert study.user_attrs[DATA_ATTRIBUTE]["digest"] == objective.data.digest
    other = relabelled(objective)
    expected = r"data of the study 'cells' have changed, .* but other contents\. Restore the data"
    for look in (open_study, lambda *arguments: check_study(study, *arguments)):
        with pytest.raises(ValueError, match=expected):
            look(config, other)
    other.data = replace(objective.data, class_names=tuple("0123456798"))
    with pytest.raises(ValueError, match="class_names was"):
        open_study(config, other)
    assert opened(config, "search")[1] == []


def test_a_study_of_an_earlier_version_gets_a_digest(
    config: SearchConfig, opened: Open, objective: CellCNN
) -> None:
    study, _ = opened(config, "search")
    with sqlite3.connect("nas.db") as database:
        database.execute("DELETE FROM study_user_attributes WHERE key = ?", (DATA_ATTRIBUTE,))
    database.close()
    study.add_trial(optuna.create_trial(value=0.5))
    study, [notice] = opened(config, "search")
    assert "the data of its trials are not known" in notice
    assert opened(config, "search")[1] == []
    with pytest.raises(ValueError, match="have changed"):
        open_study(config, relabelled(objective))
