"""Which process runs a trial, and whether it is still there.

Each worker writes host, machine, process and start of its process to a system attribute of its
trial. What can be seen from here:

1. A process of this machine, since it was last started, in this container: whether it is there,
   and is the one that began the trial; its number may have been given to another one since.
2. On Linux the start is counted from that of the machine, so that a clock that is set does not
   matter, and the machine's start has a name of its own. If that is another one, either this
   machine was started anew, and all its processes with it, or it is another machine of the same
   name: both look the same from here.
3. Of other machines and of other containers (process numbers mean nothing across them) nothing is
   known.
"""

from __future__ import annotations

import os
import socket
from enum import Enum
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeGuard

import psutil
from optuna.trial import FrozenTrial

from optuna_nas._locks import boot

__all__ = ["WORKER_ATTR", "Fate", "worker_fate", "worker_identity"]

WORKER_ATTR = "optuna_nas:worker"

# Clocks get adjusted, and with them what the system says about when a process started.
_CLOCK_TOLERANCE_SECONDS = 30.0
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class Fate(Enum):
    """What became of the process that runs a trial."""

    ALIVE = "it is there"
    GONE = "it is not there any more"
    RESTARTED = "its machine was started anew since, unless it is another one of the same name"
    UNKNOWN = "it cannot be seen from here"


def worker_identity(trial_number: int) -> dict[str, Any]:
    """Describe the process that runs a trial, so that another one can see whether it is gone.

    Args:
        trial_number: The trial. A retried trial inherits its predecessor's attributes; the number
            tells that they are not yet its own.
    """
    return {
        "trial": trial_number,
        **_place(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "born": _birth(os.getpid()),
    }


def worker_fate(trial: FrozenTrial) -> Fate:
    """What became of the worker of a RUNNING trial, as far as can be seen from here."""
    worker = trial.system_attrs.get(WORKER_ATTR)
    if not _is_identity(worker) or worker["trial"] != trial.number:
        return Fate.UNKNOWN
    if any(worker.get(key, value) != value for key, value in _place().items()):
        return Fate.UNKNOWN
    there = worker["born"].partition("/")[0]
    if boot() and there and boot() != there:
        return Fate.RESTARTED
    return Fate.ALIVE if _is_process(worker) else Fate.GONE


def _is_identity(worker: Any) -> TypeGuard[dict[str, Any]]:
    kinds: dict[str, tuple[type, ...]] = {"trial": (int,), "host": (str,), "pid": (int,)}
    kinds |= {"started": (int, float), "born": (str,)}
    return isinstance(worker, dict) and all(
        isinstance(worker.get(key), kind) for key, kind in kinds.items()
    )


def _is_process(worker: dict[str, Any]) -> bool:
    try:
        process = psutil.Process(worker["pid"])
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        born = _birth(worker["pid"])
        if born and worker["born"]:
            return bool(born == worker["born"])
        drift: float = process.create_time() - worker["started"]
        return abs(drift) <= _CLOCK_TOLERANCE_SECONDS
    except psutil.ZombieProcess:
        return False
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # gone, or another user's and hidden
        return worker["pid"] > 0 and psutil.pid_exists(worker["pid"])


def _birth(pid: int) -> str:
    """When a process started, by a count that no clock changes; empty if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or gone
        return ""
    return f"{boot()}/{fields.rpartition(')')[2].split()[19]}"


def _place() -> dict[str, str]:
    """The host, and on Linux the container, in which process numbers mean something."""
    namespace = Path("/proc/self/ns/pid")
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "processes": str(namespace.readlink()) if namespace.is_symlink() else "",
    }


@cache
def _machine() -> str:
    """A name of this installation, empty if it has none; hashed, as its manual page asks for."""
    for path in _MACHINE_IDS:
        try:
            found = Path(path).read_bytes().strip()
        except OSError:
            continue
        if found:
            return sha256(b"optuna-nas:" + found).hexdigest()[:16]
    return ""
