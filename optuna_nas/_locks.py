"""Locks between processes, of a machine and of files."""

from __future__ import annotations

import functools
import getpass
import os
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

__all__ = ["boot", "machine_lock", "try_flock"]


def machine_lock(name: str) -> FileLock:
    """A lock of a name that is harmless in a file system; users have locks of their own."""
    user = str(os.getuid()) if os.name == "posix" else getpass.getuser()
    return FileLock(Path(tempfile.gettempdir()) / f"optuna-nas-{user}-{name}.lock")


def try_flock(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process ends, if nobody else has locked it."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # by somebody else, or the file system has no locks
        return False
    return True


@functools.cache
def boot() -> str:
    """What this machine is called since it was started; empty where that cannot be known.

    Containers of one machine have it in common, and its kernel, which keeps their locks.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        return ""
