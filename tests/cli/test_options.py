"""The options of the command line are those that objectives are declared with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optuna_nas._options import options_table, preset_values
from optuna_nas.cli.config import Given, SearchConfig
from optuna_nas.cli.objectives import RECIPES
from optuna_nas.methods import METHODS
from optuna_nas.objectives import (
    CellCNN,
    Darts,
    EdgeNES,
    EnsembleSearch,
    OneShotSearch,
    TaskTraining,
)
from optuna_nas.objectives.edge_nes import RandomMembers
from optuna_nas.spaces import EdgeNESSpace, NASBench201Space

FEW: dict[str, Any] = {"train_size": 60, "validation_size": 40, "test_size": 20}
SMALL: dict[str, Any] = {"channels": 2, "cells": 1, "device": "cpu"}


def resolved(objective: str, tmp_path: Path, **options: Any) -> SearchConfig:
    given = Given("s", "", objective, str(tmp_path), options={**FEW, **options})
    return SearchConfig.resolve(given, None)


def settings(objective: Any) -> dict[str, Any]:
    """What decides the outcome of a trial, apart from the preset it was said by."""
    found = {**objective.settings()}
    found.pop("preset", None)
    return found


@pytest.mark.parametrize("preset", [{}, {"preset": "small"}])
def test_python_and_command_line_have_the_same_defaults(
    preset: dict[str, Any], tmp_path: Path
) -> None:
    space = NASBench201Space()
    sizes: dict[str, Any] = {"channels": 2, "cells": 1, "artifacts": None}
    cnn: Any = resolved("cell-cnn", tmp_path, **SMALL).make_objective()
    assert settings(cnn) == settings(CellCNN(space, cnn.data, **sizes))
    for name in ("darts", "one-shot"):
        search: Any = resolved(name, tmp_path, **SMALL, **preset).make_objective()
        kind: Any = Darts if name == "darts" else OneShotSearch
        ours = kind(space, search.data, **sizes, **preset)
        assert settings(search) == settings(ours)
        assert search.search.methods["darts"].values == ours.search.methods["darts"].values
    few: Any = {"search_channels": 2, "search_cells": 1}
    found: Any = resolved("edge-nes", tmp_path, **few, **preset).make_objective()
    edge_nes = EdgeNES(found.data, artifacts=None, **preset)
    for part in ("epochs", "batch_size", "learning_rate", "architecture_learning_rate"):
        for mine, theirs in zip(found.members.searches, edge_nes.members.searches, strict=True):
            assert getattr(mine, part) == getattr(theirs, part)
    assert found._training == edge_nes._training and found.size == edge_nes.size


def test_a_table_has_goals_limits_and_all_that_trainings_have(tmp_path: Path) -> None:
    given: dict[str, Any] = {"data": "iris", "gradient_clip": 1.0, "device": "cpu"}
    wanted: dict[str, Any] = {"goals": "accuracy,macs", "max_parameters": 900}
    made: Any = resolved("mlp", tmp_path, **given, **wanted).make_objective()
    assert made.metric_names == ("validation accuracy", "macs")
    assert made.limited == {"parameters": 900}
    options: dict[str, Any] = {"epochs": 60, "optimizer": "adamw", "learning_rate": 0.003}
    options |= {"weight_decay": 0.01, "gradient_clip": 1.0, "artifacts": None}
    limits: dict[str, Any] = {"goals": "accuracy,macs", "limits": {"parameters": 900}}
    ours = TaskTraining(made.space, made.task, **options, **limits)
    assert made.settings() == ours.settings()
    assert made.directions == ours.directions


def test_presets() -> None:
    published, small = (
        EdgeNES("digits", preset=preset, artifacts=None) for preset in ("published", "small")
    )
    epochs = [[s.epochs for s in e.members.searches] for e in (published, small)]
    assert epochs == [[50, 150], [20, 20]]
    assert (published._training.epochs, small._training.epochs) == (50, 12)
    random = EnsembleSearch(
        EdgeNESSpace(), published.data, RandomMembers(3), preset="small", artifacts=None
    )
    assert random._training == small._training
    with pytest.raises(ValueError, match="`preset` is 'tiny'; allowed are "):
        preset_values(METHODS["darts"], "tiny")


@pytest.mark.parametrize("objective", ["darts", "edge-nes"])
def test_a_study_from_before_there_were_presets_means_what_it_meant(
    objective: str, tmp_path: Path
) -> None:
    """It stored the values of the small one, but for a rate that it could not be told."""
    stored = json.loads(resolved(objective, tmp_path).to_json())
    small = {"batch_size": 32, "architecture_learning_rate": 3e-3}
    more = {"search_epochs": 20, "hypernetwork_epochs": 20, "hypernetwork_learning_rate": 0.1}
    added = ("preset", "flip", "crop_padding", "momentum", "gradient_clip", "held_out")
    if objective == "edge-nes":
        stored["options"] |= small | more | {"epochs": 12, "learning_rate": 0.1}
    else:
        stored["options"] |= small | {"epochs": 20, "order": 1, "learning_rate": 0.025}
    for name in added:
        del stored["options"][name]
    old: Any = SearchConfig.from_dict(stored).make_objective()
    new: Any = resolved(objective, tmp_path, preset="small").make_objective()
    if objective == "edge-nes":
        assert old.members == new.members and old._training == new._training
    else:
        assert old.search.methods["darts"].values == new.search.methods["darts"].values


def test_a_method_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_darts.py").write_text(
        "from dataclasses import replace\n"
        "from optuna_nas.methods import METHODS, Schedule\n"
        "SLOW = replace(METHODS['darts'], name='slow', schedule=Schedule(epochs=400))\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = resolved("one-shot", tmp_path, method="slow_darts:SLOW", **SMALL)
    objective: Any = config.make_objective()
    assert list(objective.search.methods) == ["slow"]
    assert config.recipe.steps(config.options) == 400
    with pytest.raises(ValueError, match=r"`method` is 'slow_darts:number', a int; allowed is a "):
        resolved("one-shot", tmp_path, method="slow_darts:number").make_objective()
    with pytest.raises(ValueError, match=r"`method` is 'dart'; allowed are \['darts', "):
        resolved("one-shot", tmp_path, method="dart").make_objective()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_options_say_what_they_are(recipe: Any) -> None:
    table = options_table(recipe.options)
    assert table.count("\n") == len(recipe.options) + 2
    for option in recipe.options:
        assert option.help and option.flag.startswith("--")
        assert option.default is None or isinstance(option.default, option.kind)
        assert f"| `{option.name}` | " in table
