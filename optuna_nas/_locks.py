"""Locks between processes, of a machine and of files."""

from __future__ import annotations

import functools
import getpass
import os
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from optuna_nas.errors import UserError

__all__ = ["boot", "machine_lock", "try_flock"]


def machine_lock(name: str) -> FileLock:
    """A lock of a name that is harmless in a file system; users have locks of their own.

    Raises:
        UserError: Somebody else has put something in its place.
    """
    user = str(os.getuid()) if os.name == "posix" else getpass.getuser()
    file = Path(tempfile.gettempdir()) / f"optuna-nas-{user}-{name}.lock"
    if file.exists() and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        raise UserError(
            f"The lock {str(file)!r} is another user's, or no file. Remove it, or set TMPDIR to a "
            "folder of your own."
        )
    return FileLock(file)


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
