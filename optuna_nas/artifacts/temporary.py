"""Names of temporary files and folders, which tell whether whoever made them is gone.

    .<name>.<machine>_<container>_<process>_<random>.<kind>

A process that is killed leaves them behind. They are removed by the next one that writes there, if
it is of the same machine and container, where numbers of processes mean the same, and there is no
such process any more; those of others, and of machines that cannot be told apart, after a week.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from optuna_nas._locks import boot

__all__ = ["sweep", "temporary_folder", "temporary_name"]

_MARK = re.compile(r"\.(?P<name>.+)\.(?P<machine>\w+_\d+)_(?P<process>\d+)_\w{8}\.(tmp|new|old)")
_LONG_SECONDS = 7 * 24 * 3600.0


def temporary_name(name: str, kind: str = "tmp") -> str:
    """A name beside `name` that nobody else uses.

    Args:
        name: What it stands for.
        kind: `tmp`; `new` for a folder that is to be put in place, `old` for one put aside.
    """
    return f".{name}.{_machine()}_{os.getpid()}_{uuid4().hex[:8]}.{kind}"


@contextmanager
def temporary_folder(place: Path | None = None, name: str = "optuna-nas") -> Iterator[Path]:
    """A folder for a while, in that of the system unless told otherwise."""
    parent = Path(tempfile.gettempdir()) if place is None else place
    if place is None:
        sweep(parent, name)
    folder = parent / temporary_name(name)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove from a folder what was left behind; what cannot be removed stays.

    A folder that was put aside by who died before putting another in its place is put back.

    Args:
        folder: The folder; nothing is done if there is none.
        name: Only what stands for this file; None for all.
    """
    with suppress(OSError):
        for path in [*folder.iterdir()]:
            found = _MARK.fullmatch(path.name)
            if found is None or (name is not None and found["name"] != name):
                continue
            with suppress(OSError):
                if _is_left_behind(path, found["machine"], int(found["process"])):
                    _remove(path, folder / found["name"])


def _is_left_behind(path: Path, machine: str, process: int) -> bool:
    if boot() and machine == _machine():
        return not psutil.pid_exists(process)
    return time.time() - path.lstat().st_mtime > _LONG_SECONDS


def _remove(path: Path, place: Path) -> None:
    if path.suffix == ".old" and not place.exists() and not place.is_symlink():
        path.rename(place)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _machine() -> str:
    """One start of a machine, and the container in it."""
    namespace = Path("/proc/self/ns/pid")
    container = namespace.stat().st_ino if namespace.exists() else 0
    return f"{boot()[:8] or 'unknown'}_{container}"
