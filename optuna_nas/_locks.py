"""Locks between the processes of one user on one machine."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

from filelock import FileLock


def machine_lock(name: str) -> FileLock:
    """A lock of a name that is harmless in a file system; users have locks of their own."""
    user = str(os.getuid()) if os.name == "posix" else getpass.getuser()
    return FileLock(Path(tempfile.gettempdir()) / f"optuna-nas-{user}-{name}.lock")
