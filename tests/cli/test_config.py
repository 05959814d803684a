from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_nas.cli.config import SAMPLERS, Given, SearchConfig
from optuna_nas.cli.objectives import RECIPES
from optuna_nas.cli.objectives.images import SPACES, make_space
from optuna_nas.cli.options import seconds
from optuna_nas.cli.pruners import PRUNERS
from optuna_nas.samplers import ArchitectureSampler, BananasSampler
from optuna_nas.spaces import (
    CellSpace,
    ChainSpace,
    DARTSSpace,
    EdgeNESSpace,
    GeneticCNNSpace,
    HierarchicalSpace,
    NASBench1Shot1Space,
    NASBench101Space,
    NASBench201Space,
    NASNetSpace,
)

CONFIG = SearchConfig(
    study="s",
    storage="sqlite:///s.db",
    artifacts="files",
    objective="cell-cnn",
    sampler="bananas",
    pruner="halving",
    seed=3,
    options={**RECIPES["cell-cnn"].defaults, "train_size": 100, "epochs": 8, "channels": 4},
)

BEFORE_OBJECTIVES: dict[str, Any] = {
    "study": "s",
    "storage": "sqlite:///s.db",
    "artifacts": "files",
    "space": "nasbench201",
    "sampler": "bananas",
    "pruner": "halving",
    "data": "digits",
    "seed": 3,
    "loading": {
        "image_column": None,
        "label_column": None,
        "image_size": None,
        "train_size": 100,
        "validation_size": None,
        "test_size": None,
    },
    "training": {
        "epochs": 8,
        "batch_size": 64,
        "channels": 4,
        "cells": None,
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "cutout": 0,
        "device": "cpu",
    },
}
"""What a study stored while there was one objective."""


def changed(**options: Any) -> SearchConfig:
    return replace(CONFIG, options={**CONFIG.options, **options})


@pytest.fixture
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_settings_survive_json() -> None:
    config = replace(changed(learning_rate=0.1), study='a "quoted" näme')
    assert SearchConfig.from_json(config.to_json()) == config


def test_settings_from_before_there_were_objectives_are_read() -> None:
    old = SearchConfig.from_dict(BEFORE_OBJECTIVES)
    assert old == changed(device="cpu")
    CONFIG.check_same_values(old)
    with pytest.raises(ValueError, match="epochs was 8 and is 9; seed was 3 and is 4"):
        replace(changed(epochs=9), seed=4).check_same_values(old)


def test_an_option_that_came_later_had_its_default() -> None:
    settings = CONFIG.to_dict()
    del settings["options"]["cutout"]
    assert SearchConfig.from_dict(settings) == CONFIG


def test_a_study_of_an_objective_that_is_not_known_here() -> None:
    config = SearchConfig.from_dict({**CONFIG.to_dict(), "objective": "perceptron"})
    with pytest.raises(ValueError, match=r"`objective` is 'perceptron'; allowed are \['cell-cnn'"):
        config.make_objective()


def test_named_spaces() -> None:
    made = {name: make_space({"space": name}) for name in SPACES}
    assert made == {
        "nasbench101": NASBench101Space(),
        "nasbench201": NASBench201Space(),
        "darts": DARTSSpace(),
        "edge-nes": EdgeNESSpace(),
        "nasnet": NASNetSpace(),
        "hierarchical": HierarchicalSpace(),
        **{f"nasbench1shot1-{n}": NASBench1Shot1Space(n) for n in (1, 2, 3)},
        "chain": ChainSpace(),
        "fbnet": ChainSpace.fbnet(),
        "proxyless": ChainSpace.proxyless(),
        "squeezenas": ChainSpace.squeezenas(),
        "genetic-cnn": GeneticCNNSpace(),
    }


def test_a_space_of_ones_own_lies_in_the_working_folder(own_modules: Path) -> None:
    (own_modules / "own_cells.py").write_text(
        "from optuna_nas.spaces import CellSpace, NASBench201Space\n"
        "space = CellSpace(3, ['none', 'skip_connect'])\n"
        "class OwnCells(NASBench201Space): pass\n"
        "number = 3\n"
    )
    space = make_space({"space": "own_cells:space"})
    assert space == CellSpace(3, ["none", "skip_connect"])
    assert make_space({"space": "own_cells:OwnCells"}).name == "OwnCells"
    # What is installed comes first: a file of the working folder cannot take its place.
    assert sys.path[-1] == str(own_modules)


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ("nasbench301", r"allowed are \['chain', 'darts', 'edge-nes', .*\] and"),
        ("no_such_module:space", r"cannot be imported \(ModuleNotFoundError: .*no_such_module"),
        ("own_cells:spice", r"cannot be imported \(AttributeError: .*spice"),
        ("own_cells:number", r", a int; allowed is a SearchSpace"),
        ("unfinished:space", r"cannot be imported \(SyntaxError: "),
        ("raising:space", r"cannot be imported \(ZeroDivisionError: division by zero\)"),
        (":", r"cannot be imported \(ValueError: "),
        ("optuna_nas.spaces:CellSpace", r"cannot be called with no arguments \(.*num_nodes"),
    ],
)
def test_a_space_that_cannot_be_had(own_modules: Path, space: str, reason: str) -> None:
    (own_modules / "own_cells.py").write_text("number = 3\n")
    (own_modules / "unfinished.py").write_text("space = (\n")
    (own_modules / "raising.py").write_text("space = 1 / 0\n")
    with pytest.raises(ValueError, match=rf"^`space` is '{space}'.*{reason}"):
        make_space({"space": space})


@pytest.mark.parametrize(
    ("sampler", "reason"),
    [
        (
            "banana",
            r"allowed are \['bananas', 'evolution', 'local-search', 'nsgaii', .* and module",
        ),
        ("collections:Counter", r"a Counter; allowed is a sampler of Optuna"),
        ("optuna.samplers:GridSampler", r"cannot be called with seed \(.*search_space"),
    ],
)
def test_a_sampler_that_cannot_be_had(sampler: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^`sampler` is '{sampler}'.*{reason}"):
        replace(CONFIG, sampler=sampler).make_sampler()


FOREIGN = ("nsgaii", "random", "tpe")


def proposals(sampler: str, **options: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=replace(CONFIG, sampler=sampler).make_sampler(**options))
    space = NASBench201Space()
    return [space.suggest(study.ask()).params for _ in range(3)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_are_seeded(name: str) -> None:
    sampler = replace(CONFIG, sampler=name).make_sampler()
    assert isinstance(sampler, ArchitectureSampler) == (name not in FOREIGN)
    assert proposals(name) == proposals(name)
    other = replace(CONFIG, sampler=name, seed=4).make_sampler()
    study = optuna.create_study(sampler=other)
    assert NASBench201Space().suggest(study.ask()).params != proposals(name)[0]


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_samplers_do_not_repeat_each_other_nor_themselves(name: str) -> None:
    first = [
        proposals(name, worker=worker, trials=trials)[0]
        for worker, trials in [(0, 0), (1, 0), (0, 1), (1, 1), (0, 20)]
    ]
    assert all(a != b for i, a in enumerate(first) for b in first[:i])


def test_our_samplers_share_the_seed() -> None:
    sampler = CONFIG.make_sampler(worker=2, trials=7)
    assert isinstance(sampler, BananasSampler) and sampler._seed == 3


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("epochs", [1, 2, 12, 200])
def test_pruners_fit_the_epochs(name: str, epochs: int) -> None:
    pruner = replace(changed(epochs=epochs), pruner=name).make_pruner()
    study = optuna.create_study(direction="maximize", pruner=pruner)
    bad = range(4, 40, 5)  # one in five, from the start
    pruned = []
    for number in range(40):
        trial = study.ask()
        for epoch in range(epochs):
            trial.report(0.1 + number / 1000 if number in bad else 0.9, epoch)
            if trial.should_prune():
                pruned.append(number)
                break
        study.tell(trial, 0.1 if number in bad else 0.9)
    assert 0 not in pruned
    if name == "none":
        assert pruned == []
    elif epochs > 1:
        assert set(bad) & set(pruned)


def test_an_objective_may_have_arguments_for_a_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"local-search": {"deduplicate": False}}
    recipe = replace(RECIPES["cell-cnn"], sampler_arguments=arguments)
    monkeypatch.setitem(RECIPES, "cell-cnn", recipe)
    made = [replace(CONFIG, sampler=name).make_sampler() for name in ("local-search", "evolution")]
    assert [getattr(sampler, "_deduplicate", None) for sampler in made] == [False, True]


@pytest.mark.parametrize("objective", RECIPES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_objective_has_every_sampler(objective: str, name: str) -> None:
    options = RECIPES[objective].defaults
    replace(CONFIG, objective=objective, options=options, sampler=name).make_sampler()


def test_an_unknown_pruner() -> None:
    with pytest.raises(ValueError, match=r"`pruner` is 'asha'; allowed are \['halving', 'hyperb"):
        replace(CONFIG, pruner="asha").make_pruner()


def test_values_of_the_same_settings_can_be_compared() -> None:
    CONFIG.check_same_values(CONFIG)
    elsewhere = replace(
        changed(device="cpu"),
        study="t",
        storage="other",
        artifacts="elsewhere",
        sampler="tpe",
        pruner="none",
    )
    CONFIG.check_same_values(elsewhere)
    assert elsewhere.changes(CONFIG) == [
        "artifacts was 'files' and is 'elsewhere'",
        "pruner was 'halving' and is 'none'",
        "sampler was 'bananas' and is 'tpe'",
    ]
    assert CONFIG.changes(CONFIG) == []


def test_the_settings_that_differ_are_named() -> None:
    stored = replace(changed(image_size=16, space="darts", learning_rate=0.2), seed=0)
    with pytest.raises(ValueError, match="made with other settings") as error:
        CONFIG.check_same_values(stored)
    assert str(error.value) == (
        "The study 's' was made with other settings, so its values cannot be compared: "
        "image_size was 16 and is None; learning_rate was 0.2 and is 0.1; seed was 0 and is 3; "
        "space was 'darts' and is 'nasbench201'. Use the same settings or another --study."
    )


def test_what_is_not_given_is_as_it_was_stored_or_else_the_default() -> None:
    fresh = SearchConfig.resolve(Given("my study", "sqlite:///s.db"), None)
    assert fresh == SearchConfig(
        study="my study",
        storage="sqlite:///s.db",
        artifacts="my study-artifacts",
        objective="cell-cnn",
        sampler="bananas",
        pruner="percentile",
        seed=0,
        options=RECIPES["cell-cnn"].defaults,
    )
    stored = replace(changed(device="cpu"), storage="sqlite:////elsewhere/s.db")
    given = Given("s", "sqlite:///s.db", sampler="tpe", options={"cells": 2, "epochs": None})
    resolved = SearchConfig.resolve(given, stored)
    # The device is each machine's own, and the address is the one that was just used.
    assert resolved == replace(changed(cells=2), sampler="tpe")
    assert fresh.inherited(Given("my study", "sqlite:///s.db")) == {}
    assert resolved.inherited(given) == {
        "artifacts": "files",
        "pruner": "halving",
        "seed": 3,
        "train_size": 100,
        "epochs": 8,
        "channels": 4,
    }


def test_what_was_given_counts_also_if_it_is_nothing() -> None:
    stored = changed(cutout=4)
    given = Given("s", "", seed=0, options={"cutout": 0})
    resolved = SearchConfig.resolve(given, stored)
    assert resolved.seed == 0 and resolved.options["cutout"] == 0


def test_what_is_stored_holds_on_any_machine() -> None:
    assert changed(device="cuda:3").on_any_machine() == CONFIG


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("3d", 259_200), (" 5 s", 5)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "soon", "0", "0m", "-5m", "nan", "inf", "infh", "5 weeks", "1:30"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=rf"`timeout` is '{text}'; allowed are durations such as"):
        seconds(text)


def test_no_duration_is_no_limit() -> None:
    assert seconds(None) is None
    assert math.isfinite(seconds("10000d") or math.inf)
