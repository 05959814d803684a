from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_nas.cli.config import PRUNERS, SAMPLERS, SPACES, SearchConfig, seconds
from optuna_nas.samplers import ArchitectureSampler, BananasSampler
from optuna_nas.spaces import CellSpace, DARTSSpace, NASBench101Space, NASBench201Space

CONFIG = SearchConfig(
    study="s",
    storage="sqlite:///s.db",
    artifacts="files",
    space="nasbench201",
    sampler="bananas",
    pruner="halving",
    data="digits",
    seed=3,
    loading={"image_size": None, "train_size": 100},
    training={"epochs": 8, "channels": 4, "learning_rate": 0.1, "device": None},
)


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
    config = replace(CONFIG, study='a "quoted" näme', training={"epochs": 1, "learning_rate": 0.1})
    assert SearchConfig.from_json(config.to_json()) == config


def test_named_spaces() -> None:
    made = {name: replace(CONFIG, space=name).make_space() for name in SPACES}
    assert made == {
        "nasbench101": NASBench101Space(),
        "nasbench201": NASBench201Space(),
        "darts": DARTSSpace(),
    }


def test_a_space_of_ones_own_lies_in_the_working_folder(own_modules: Path) -> None:
    (own_modules / "own_cells.py").write_text(
        "from optuna_nas.spaces import CellSpace, NASBench201Space\n"
        "space = CellSpace(3, ['none', 'skip_connect'])\n"
        "class OwnCells(NASBench201Space): pass\n"
        "number = 3\n"
    )
    space = replace(CONFIG, space="own_cells:space").make_space()
    assert space == CellSpace(3, ["none", "skip_connect"])
    assert replace(CONFIG, space="own_cells:OwnCells").make_space().name == "OwnCells"
    # What is installed comes first: a file of the working folder cannot take its place.
    assert sys.path[-1] == str(own_modules)


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ("nasbench301", r"allowed are \['darts', 'nasbench101', 'nasbench201'\] and module:obj"),
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
        replace(CONFIG, space=space).make_space()


@pytest.mark.parametrize(
    ("sampler", "reason"),
    [
        ("banana", r"allowed are \['bananas', 'evolution', 'local-search', 'random', 'tpe'\] and"),
        ("collections:Counter", r"a Counter; allowed is a sampler of Optuna"),
        ("optuna.samplers:GridSampler", r"cannot be called with seed \(.*search_space"),
    ],
)
def test_a_sampler_that_cannot_be_had(sampler: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^`sampler` is '{sampler}'.*{reason}"):
        replace(CONFIG, sampler=sampler).make_sampler()


def proposals(sampler: str, **options: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=replace(CONFIG, sampler=sampler).make_sampler(**options))
    space = NASBench201Space()
    return [space.suggest(study.ask()).params for _ in range(3)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_are_seeded(name: str) -> None:
    sampler = replace(CONFIG, sampler=name).make_sampler()
    assert isinstance(sampler, ArchitectureSampler) == (name not in ("random", "tpe"))
    assert proposals(name) == proposals(name)
    other = replace(CONFIG, sampler=name, seed=4).make_sampler()
    study = optuna.create_study(sampler=other)
    assert NASBench201Space().suggest(study.ask()).params != proposals(name)[0]


@pytest.mark.parametrize("name", ["random", "tpe"])
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
    pruner = replace(CONFIG, pruner=name, training={"epochs": epochs}).make_pruner()
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


def test_an_unknown_pruner() -> None:
    with pytest.raises(ValueError, match=r"`pruner` is 'asha'; allowed are \['halving', 'hyperb"):
        replace(CONFIG, pruner="asha").make_pruner()


def test_values_of_the_same_settings_can_be_compared() -> None:
    CONFIG.check_same_values(CONFIG)
    training = {**CONFIG.training, "device": "cpu"}
    CONFIG.check_same_values(
        replace(
            CONFIG,
            study="t",
            storage="other",
            artifacts="elsewhere",
            sampler="tpe",
            pruner="none",
            training=training,
        )
    )


def test_the_settings_that_differ_are_named() -> None:
    stored = replace(
        CONFIG,
        seed=0,
        space="darts",
        loading={"image_size": 16, "train_size": 100},
        training={**CONFIG.training, "learning_rate": 0.2},
    )
    with pytest.raises(ValueError, match="made with other settings") as error:
        CONFIG.check_same_values(stored)
    assert str(error.value) == (
        "The study 's' was made with other settings, so its values cannot be compared: "
        "image_size was 16 and is None; learning_rate was 0.2 and is 0.1; seed was 0 and is 3; "
        "space was 'darts' and is 'nasbench201'. Use the same settings or another --study."
    )
    assert CONFIG.loading["image_size"] is None and CONFIG.training["epochs"] == 8  # untouched


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
