"""What the user can mend is one line; a bug keeps its traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from optuna_nas.cli import results, search
from optuna_nas.cli.mending import mendable
from optuna_nas.errors import UserError

Command = Callable[..., tuple[int, str, str]]
BUGS = (TypeError("bug"), KeyError("bug"), ValueError("bug"), OSError("bug"), IndexError("bug"))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object, **keywords: object) -> Any:
        raise error

    return fail


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    storage = f"sqlite:///{tmp_path / 'optuna-nas.db'}"
    study = optuna.create_study(study_name="nas", storage=storage)
    study.add_trial(optuna.create_trial(value=0.5))
    return study


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error).__name__)
def test_an_error_of_running_code_is_a_bug(
    command: Command, study: optuna.Study, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(results, "show_best", raising(error))
    with pytest.raises(type(error), match="bug"):
        command("best")


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error).__name__)
def test_of_settings_only_checks_and_files_are_the_users(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(search, "check_sampler", raising(error))
    arguments = ("search", "--channels=4", "--cells=1", "--epochs=1")
    if isinstance(error, (ValueError, OSError)):
        assert command(*arguments) == (2, "", "Error: bug\n")
    else:
        with pytest.raises(type(error), match="bug"):
            command(*arguments)


def test_a_bug_ends_the_program_with_a_traceback(tmp_path: Path, study: optuna.Study) -> None:
    code = (
        "from optuna_nas.cli import main, results\n"
        "results.show_best = lambda *_: {}['bug']\n"
        "main()\n"
    )
    repository = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, "best"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": repository},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("KeyError: 'bug'\n")


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_storage_that_fails_is_one_line(
    command: Command, study: optuna.Study, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    cause = OperationalError("SELECT [/x]", {}, Exception("database is locked"))
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    monkeypatch.setattr(results, "show_best", raising(error if wrapped else cause))
    code, out, err = command("best")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert err.startswith("Error: The storage failed: ") and "database is locked" in err


def test_what_runs_can_say_that_the_user_can_mend_it(
    command: Command, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "show_best", raising(UserError("`x` is [/1]; allowed is 2.")))
    assert command("best") == (2, "", "Error: `x` is [/1]; allowed is 2.\n")


def test_a_full_disk_is_the_users(
    command: Command, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", raising(OSError(28, "No space left on device")))
    assert command("report") == (2, "", "Error: [Errno 28] No space left on device\n")


def test_the_kinds_of_errors_can_be_named() -> None:
    with pytest.raises(UserError, match="mine") as caught, mendable(TypeError):
        raise TypeError("mine")
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(OSError, match="mine") as other, mendable(TypeError):
        raise OSError("mine")
    assert not isinstance(other.value, UserError)
    said = UserError("said")
    with pytest.raises(UserError) as same, mendable():
        raise said
    assert same.value is said
