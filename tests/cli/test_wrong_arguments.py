"""What the user can mend is one line and exit code 2, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_nas.cli.config import Given, SearchConfig
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def refused(command: Command, tmp_path: Path) -> Callable[..., str]:
    """Run a command that must be refused, and return the line that says why."""

    def files() -> dict[Path, int]:
        found = (path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts)
        return {path: path.stat().st_mtime_ns for path in found}  # imports leave their cache

    def run(*arguments: str) -> str:
        before = files()
        code, _, err = command(*arguments)
        assert code == 2
        assert err.startswith("Error: ") and err.endswith("\n") and err.count("\n") == 1, err
        assert files() == before
        return err

    return run


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (
            "space",
            "nasbench301",
            "--space is 'nasbench301'; allowed are ['chain', 'darts', 'edge-nes',",
        ),
        ("objective", "perceptron", "--objective is 'perceptron'; allowed are ['cell-cnn', "),
        (
            "space",
            "flat:space",
            "a FlatSpace, which has no networks for images; allowed are ['c",
        ),
        ("space", "os:getcwd", "--space is 'os:getcwd', a builtin_function_or_method; allowed is"),
        ("sampler", "banana", "--sampler is 'banana'; allowed are ['bananas', 'evolution', 'loc"),
        ("pruner", "asha", "--pruner is 'asha'; allowed are ['halving', 'hyperband', 'median',"),
        ("timeout", "soon", "--timeout is 'soon'; allowed are durations such as 90s, 15m or 2h."),
        ("data", "./photos", "--data='./photos' is no local file or folder"),
        ("data", "noets.txt", "; did you mean 'notes.txt'?"),
        ("data", "notes.txt", "notes.txt"),
        ("data", "empty", "empty"),
        ("image-column", "picture", "--image-column='picture' is not a column of split 'train'"),
        ("image-size", "0", "--image-size must be at least 1, got 0."),
        ("train-size", "999999", "--train-size=999999"),
        ("batch-size", "1", "--batch-size is 1; allowed is an integer of 2 or more."),
        ("channels", "0", "--channels is 0; allowed is an integer of 1 or more."),
        ("cells", "-3", "--cells is -3; allowed is an integer of 1 or more."),
        ("learning-rate", "0", "--learning-rate is 0.0; allowed are positive numbers."),
        ("learning-rate", "inf", "--learning-rate is inf; allowed are positive numbers."),
        ("weight-decay", "2", "--weight-decay is 2.0; allowed are numbers from 0 to below 1."),
        ("cutout", "9", "--cutout is 9; allowed is an integer from 0 to 8."),
        ("device", "abacus", "--device is 'abacus', which cannot be used here"),
        ("seed", "3000000000", "--seed is 3000000000; allowed is an integer from 0 to 2147483647"),
        ("artifacts", "notes.txt", "--artifacts is 'notes.txt', but 'notes.txt' is no folder"),
        ("artifacts", "notes.txt/a/b", "--artifacts is 'notes.txt/a/b', but '"),
        ("storage", "study.db", "--storage is 'study.db'; allowed are database addresses such as"),
        ("storage", "sqlite://", "--storage is 'sqlite://', in memory, where no other process"),
        ("storage", "sqlite:///no/x.db", "--storage is 'sqlite:///no/x.db', which cannot be open"),
        ("storage", "no/x.journal", "--storage is 'no/x.journal', which cannot be opened: "),
        ("storage", "sqlite:///notes.txt", "which cannot be opened: file is not a database"),
    ],
)
def test_a_search_that_cannot_be(
    refused: Callable[..., str], tmp_path: Path, option: str, value: str, message: str
) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, no images and no database\n" * 50)
    (tmp_path / "flat.py").write_text(
        "from optuna.distributions import FloatDistribution\n"
        "from optuna_nas.spaces import FlatSpace\n"
        "space = FlatSpace({'x': FloatDistribution(0, 1)})\n"
    )
    (tmp_path / "empty").mkdir()
    assert message in refused("search", "--channels=4", "--cells=1", f"--{option}={value}")


@pytest.mark.parametrize(
    ("objective", "option", "message"),
    [
        (
            "layer-drop-bert",
            "--channels=4",
            "Error: --channels is an option of the objective cell-cnn, darts, one-shot, "
            "edge-nes and train, not of layer-drop-bert; "
            "allowed are --batch-size, --data, ",
        ),
        (
            "cell-cnn",
            "--min-layers=2",
            "Error: --min-layers is an option of the objective layer-drop-bert, not of cell-cnn; ",
        ),
        ("cell-cnn", "--no-warm-start", "Error: --warm-start is an option of the objective layer"),
    ],
)
def test_options_of_another_objective(
    refused: Callable[..., str], objective: str, option: str, message: str
) -> None:
    assert refused("search", f"--objective={objective}", option).startswith(message)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--trials", "0"),
        ("--trials", "many"),
        ("--workers", "0"),
        ("--epochs", "0"),
        ("--batch-size", "0"),
        ("--seed", "-1"),
        ("--more", "-1"),
        ("--colour", "red"),
    ],
)
def test_what_the_parser_refuses(
    command: Command, tmp_path: Path, option: str, value: str
) -> None:
    code, out, err = command("search", option, value)
    assert code == 2 and option in err
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql://ann:s3cret@localhost:1/nas",
        "postgresql://ann:s3cret@host:port/nas",
        "mysql://ann:s3cret@localhost/nas",
        "ann:s3cret@localhost/nas",
    ],
)
@pytest.mark.parametrize("name", ["search", "best"])
def test_the_password_is_not_shown(refused: Callable[..., str], name: str, storage: str) -> None:
    text = refused(name, "--storage", storage)
    assert "s3cret" not in text and "ann" in text and "***" in text


@pytest.mark.parametrize("name", ["best", "report", "export", "dashboard"])
class TestNothingToShow:
    @pytest.mark.parametrize(
        "storage", ["sqlite:///optuna-nas.db", "sqlite:///no/x.db?timeout=2", "x.journal"]
    )
    def test_no_database(self, refused: Callable[..., str], name: str, storage: str) -> None:
        text = refused(name, "--storage", storage)
        assert f"--storage is '{storage}', and there is no" in text
        assert "Start a search with `optuna-nas search`" in text

    def test_no_such_study(self, refused: Callable[..., str], tmp_path: Path, name: str) -> None:
        for other in ("a", "b"):
            optuna.create_study(
                study_name=other, storage=f"sqlite:///{tmp_path / 'optuna-nas.db'}"
            )
        text = refused(name, "--study", "cells")
        assert "--study is 'cells'; in sqlite:///optuna-nas.db there are ['a', 'b']." in text


def test_of_several_objectives_one_trial_is_chosen(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    study = new_study(tmp_path, directions=["maximize", "minimize"])
    config = SearchConfig.resolve(Given("nas", ""), None)
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "", "config": config.to_dict()})
    for values in ([0.5, 10], [0.4, 5], [0.3, 7]):
        study.add_trial(optuna.create_trial(values=values))
    assert "has 2 objectives; choose a trial with --trial, of the Pareto front: [0, 1]." in (
        refused("export")
    )


def new_study(folder: Path, **options: Any) -> optuna.Study:
    storage = f"sqlite:///{folder / 'optuna-nas.db'}"
    return optuna.create_study(study_name="nas", storage=storage, **options)


def test_a_study_of_another_direction(
    refused: Callable[..., str], tmp_path: Path, tiny: list[str]
) -> None:
    new_study(tmp_path, direction="minimize")
    text = refused("search", *tiny)
    assert "The study 'nas' has the directions ['MINIMIZE'], the search needs ['MAXIMIZE']" in text


def test_a_study_that_was_made_otherwise(
    refused: Callable[..., str], tmp_path: Path, tiny: list[str]
) -> None:
    study = new_study(tmp_path, direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert "was not made by `optuna-nas search`" in refused("search", *tiny)
    assert "was not made by `optuna-nas search`" in refused("export")


def test_a_study_without_a_complete_trial(refused: Callable[..., str], tmp_path: Path) -> None:
    new_study(tmp_path)
    assert refused("best") == "Error: The study 'nas' has no complete trial yet.\n"


def test_names_that_look_like_markup(refused: Callable[..., str], tmp_path: Path) -> None:
    optuna.create_study(study_name="a[/b]", storage=f"sqlite:///{tmp_path / 'optuna-nas.db'}")
    assert "--study is 'x[/y]'" in refused("best", "--study", "x[/y]")
    assert "'a[/b]' has no complete trial" in refused("best", "--study", "a[/b]")
