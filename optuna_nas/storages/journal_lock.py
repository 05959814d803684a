"""The lock of a journal file, which ends with the process that holds it.

It is the file that Optuna's own locks use, `<journal>.lock`, so writers of both kinds take turns.
Optuna's is left behind by a worker that is killed while it writes, and the others wait until they
have seen it unchanged for half a minute. This one

1. is made as a file that must not be there yet; its maker locks it with `flock`, which the kernel
   undoes when a process ends, however it ends, and then writes into it which machine it is on;
2. is removed by whoever finds it on the same machine and not locked: its maker is gone;
3. is otherwise waited for as Optuna does, and removed after half a minute in which it has stayed
   the same: that of plain Optuna, of another machine, or of a system without `flock`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna_nas._locks import boot, try_flock

__all__ = ["journal_lock"]

_GRACE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 0.2
_LONGEST_IDENTITY = 100


@contextmanager
def journal_lock(journal: Path) -> Iterator[None]:
    """Let one writer of a journal go on.

    Raises:
        OSError: The lock cannot be made, or is another user's and stays.
    """
    path = journal.with_name(f"{journal.name}.lock")
    descriptor = _acquire(path)
    try:
        yield
    finally:
        _remove(path, descriptor)


def _acquire(path: Path) -> int:
    seen, since, pause = None, time.monotonic(), 0.001
    while True:
        with suppress(FileExistsError):
            return _make(path)
        found = _signature(path)
        if found != seen:
            seen, since = found, time.monotonic()
        if _left_behind(path):
            continue
        if found and time.monotonic() - since > _GRACE_SECONDS:
            path.unlink(missing_ok=True)
            continue
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _make(path: Path) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    try:
        if try_flock(descriptor):
            os.write(descriptor, boot().encode())
    except BaseException:
        _remove(path, descriptor)
        raise
    return descriptor


def _remove(path: Path, descriptor: int) -> None:
    """Take the lock away, unless it is another one meanwhile."""
    try:
        if _is_at(path, descriptor):
            if os.name == "nt":  # where nothing that is open can be removed
                os.close(descriptor)
                descriptor = -1
            path.unlink(missing_ok=True)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _left_behind(path: Path) -> bool:
    """Remove the lock of a process of this machine that is gone; whether there was one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # just removed, a link, which is Optuna's, or not ours to read
        return False
    try:
        # It is locked before it says where, so who can lock it has outlived its maker.
        if not boot() or os.read(descriptor, _LONGEST_IDENTITY) != boot().encode():
            return False
        if not try_flock(descriptor) or not _is_at(path, descriptor):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
