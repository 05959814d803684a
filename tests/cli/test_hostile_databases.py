"""What commands make of a database that somebody else has written: one line at worst."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna_dashboard
import pytest

from optuna_nas.errors import UserError
from tests.cli import hostile_database

Command = Callable[..., tuple[int, str, str]]

COMMANDS = ("best", "report", "export", "search", "dashboard")
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
WRITTEN: list[str] | None = None


_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if WRITTEN is None:
        return
    if event == "open":
        writes = isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
    else:
        writes = event in _CHANGES and not (event == "os.mkdir" and Path(arguments[0]).is_dir())
    if writes:
        WRITTEN.append(str(arguments[0]))


sys.addaudithook(_watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What this process writes, makes, moves and removes meanwhile."""
    global WRITTEN
    WRITTEN = []
    try:
        yield WRITTEN
    finally:
        WRITTEN = None


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hostile_database.make(folder)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `export` end where it would train, and `dashboard` answer once."""

    def stop(*_: object) -> None:
        raise UserError("Here a network would be trained.")

    monkeypatch.setattr("optuna_nas.export.trial.trained", stop)
    monkeypatch.setattr(optuna_dashboard, "run_server", lambda *_, **__: None)


def check(seed: int, sound: Path, parent: Path, call_in: Command, commands: Any) -> None:
    """Run commands on a damaged database and look at what they did."""
    folder = parent / f"seed-{seed}" / "work"
    folder.mkdir(parents=True)
    (folder / "evil.py").write_text("raise SystemExit('evil was here')\n")
    said = hostile_database.damage(sound, folder, seed)
    for command in commands:
        extra = ["--trials=1"] if command == "search" else []
        with watched() as written, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code, out, err = call_in(folder, command, *extra)
        case = (seed, command, said, code, out[-500:], err[-500:])
        assert code in (0, 2), case
        assert (code == 2) == err.startswith("Error: "), case
        assert "Traceback" not in err and "evil was here" not in err, case
        assert "evil" not in sys.modules, case
        assert not OBEYED.search(out + err), case
        outside = [path for path in map(Path, written) if not _is_ours(path, folder)]
        assert outside == [], case
    assert [path.name for path in folder.parent.iterdir()] == ["work"]


def _is_ours(path: Path, folder: Path) -> bool:
    """Whether a file is in the folder, or one that every run makes: locks, caches of Python."""
    path = folder / path
    locks = path.name.endswith(".lock") or "__pycache__" in path.parts or path == Path("/dev/null")
    return locks or path.resolve().is_relative_to(folder.resolve())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("seed", range(12))
def test_a_few_hostile_databases(seed: int, sound: Path, tmp_path: Path, call_in: Command) -> None:
    check(seed, sound, tmp_path, call_in, COMMANDS)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("part", range(20))
def test_many_hostile_databases(part: int, sound: Path, tmp_path: Path, call_in: Command) -> None:
    for seed in range(100 + 25 * part, 125 + 25 * part):
        check(seed, sound, tmp_path, call_in, COMMANDS[seed % 5 :][:1])
        check(10_000 + seed, sound, tmp_path, call_in, ("best",))


def test_the_dashboard_answers(sound: Path) -> None:
    from optuna_nas.storages import open_storage, show_constraints

    storage = show_constraints(open_storage(f"sqlite:///{sound / hostile_database.NAME}"))
    app = optuna_dashboard.wsgi(storage)
    environ: dict[str, Any] = {"PATH_INFO": "/api/studies/1", "QUERY_STRING": "after=0"}
    setup_testing_defaults(environ)
    status: list[str] = []
    b"".join(app(environ, lambda said, *_: status.append(said)))
    assert status == ["200 OK"]
