"""One `--storage` for every command; its password is shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import optuna_dashboard
import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from optuna_nas.cli.mending import storage_failure
from optuna_nas.cli.options import STORAGE_VARIABLE, next_command
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.storages import open_storage

Command = Callable[..., tuple[int, str, str]]
COMMANDS = ["search", "best", "report", "export", "dashboard"]
NOBODY = "127.0.0.1:1"
"""Where nothing listens."""


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"postgresql://ann:s3cret@{NOBODY}/x", f"'postgresql://ann:***@{NOBODY}/x'"),
        (f"mysql://ann:s3cret@{NOBODY}/x", f"'mysql://ann:***@{NOBODY}/x'"),
        (f"redis://:s3cret@{NOBODY}", f"'redis://:***@{NOBODY}'"),
        ("nosuch://ann:s3cret@host/x", "'nosuch://ann:***@host/x'"),
    ],
)
def test_a_server_that_cannot_be_reached(
    command: Command, tmp_path: Path, name: str, address: str, shown: str
) -> None:
    code, out, err = command(name, f"--storage={address}")
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: --storage is {shown}, which cannot be opened: ")
    assert err.count("\n") == 1 and "s3cret" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_storage_of_the_environment(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    study = optuna.create_study(study_name="nas", storage=address)
    study.add_trial(optuna.create_trial(value=0.25))
    assert command("best")[0] == 2
    monkeypatch.setenv(STORAGE_VARIABLE, address)
    code, out, err = command("best")
    assert (code, err) == (0, "") and "0.2500" in out
    assert "--storage" not in out  # the next command finds it there as well
    assert command("best", "--storage=sqlite:///other.db")[0] == 2


def test_suggested_commands_hide_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql://ann:s3cret@host/x"
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    assert next_command("best", "nas", address).endswith("'postgresql://ann:***@host/x'")
    monkeypatch.setenv(STORAGE_VARIABLE, address)
    assert next_command("best", "nas", address).endswith(" best")


class RedisError(Exception):
    """As the client of Redis has it."""

    __module__ = "redis.exceptions"


@pytest.mark.parametrize("kind", [OSError, ValueError, KeyError])
def test_errors_of_a_storage_hide_the_password(kind: type[Exception]) -> None:
    text = "cannot reach postgresql://ann:s3cret@host/x"
    wrapped = StorageInternalError("An exception is raised during the commit.")
    wrapped.__cause__ = OperationalError("SELECT 1", {}, Exception(text))
    for error in (wrapped, wrapped.__cause__, RedisError(text)):
        shown = storage_failure(error)
        assert shown is not None and "ann:***@host" in shown and "s3cret" not in shown
    assert storage_failure(kind(text)) is None


@pytest.mark.slow
def test_a_search_on_postgresql(
    command: Command, tmp_path: Path, tiny: list[str], new_database: Callable[[], str]
) -> None:
    address = new_database()
    here = f"--storage={address}"
    code, out, err = command("search", *tiny, "--trials=2", "--workers=2", here)
    assert (code, err) == (0, "")
    study = optuna.load_study(study_name="nas", storage=open_storage(address))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    texts = [out, optuna_dashboard.get_note(study), str(study.user_attrs[CONFIG_ATTRIBUTE])]
    texts += [log.read_text() for log in (tmp_path / "nas-artifacts" / "logs").iterdir()]
    for name in ("best", "report"):
        code, out, err = command(name, here)
        assert (code, err) == (0, "")
        texts.append(out)
    texts.append((tmp_path / "nas-report.html").read_text(encoding="utf-8"))
    assert not any("s3cret" in text for text in texts)
    assert "ann:***@127.0.0.1" in texts[0] and "ann:***@127.0.0.1" in texts[1]
