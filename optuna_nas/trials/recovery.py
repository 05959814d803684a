"""Take up the trials that killed workers of this machine left behind, at once.

Optuna's heartbeat finds such trials only after a grace period, and only on a relational database.
On the machine itself it is known sooner: every trial records the worker it runs in, and a process
that is gone will not finish it.

1. Each `TrialRun` writes host, process and start of its worker to a system attribute. On Linux the
   start is counted from that of the machine, so that a clock that is set does not matter.
2. `recover_interrupted` looks at the RUNNING trials. One whose worker was on this host, and whose
   process is gone (or whose number was given to another process since), is set FAIL and queued
   again by `optuna.storages.RetryHeartbeatStaleTrialCallback`, with its parameters;
   `TrialRun.restore` then finds its checkpoint.
3. Trials of other hosts, of other containers (process numbers mean nothing across them) and of
   unknown workers are left to the heartbeat.
4. A worker can be gone between taking a trial and saying so, before its first heartbeat as well.
   Where every worker says so at once, as those of `optuna-nas search` do, a trial that nobody has
   claimed for a while is taken up too.

Two processes may recover the same study at the same time: SQLite lets both set one trial FAIL, so
a lock on the machine makes them take turns, and the second finds nothing left to do.
"""

from __future__ import annotations

import copy
import os
import socket
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._locks import machine_lock
from optuna_nas.artifacts.names import folder_name
from optuna_nas.storages import MAX_RETRY

__all__ = ["recover_interrupted", "requeue", "worker_identity"]

WORKER_ATTR = "optuna_nas:worker"

# Clocks get adjusted, and with them what the system says about when a process started.
_CLOCK_TOLERANCE_SECONDS = 30.0

_logger = optuna.logging.get_logger("optuna_nas")


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


class Unclaimed:
    """RUNNING trials that no worker has claimed, and since when this process has seen them so.

    Times are of this process's own clock, which only counts forward: that of the machine that
    took the trial may be another one, or in another zone.

    Args:
        seconds: After how many seconds such a trial counts as left behind.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[int, float] = {}

    def left_behind(self, trial: FrozenTrial) -> bool:
        """Whether a RUNNING trial was seen without a worker for so long."""
        worker = trial.system_attrs.get(WORKER_ATTR)
        if trial.intermediate_values or (worker and worker["trial"] == trial.number):
            return False
        now = time.monotonic()
        return now - self._since.setdefault(trial._trial_id, now) > self._seconds


def recover_interrupted(
    study: optuna.Study, max_retry: int = MAX_RETRY, *, unclaimed: Unclaimed | None = None
) -> list[int]:
    """Queue again the trials of this study that killed workers of this machine left RUNNING.

    Args:
        study: The study, before workers are started.
        max_retry: How often one training is taken up again before it is given up.
        unclaimed: Watches for trials that no worker has claimed, of whatever machine, from one
            call to the next; None if not every worker claims its trials.

    Returns:
        The numbers of the interrupted trials that were queued again.

    Raises:
        ValueError: If `max_retry` is negative.
    """
    if max_retry < 0:
        raise ValueError(f"{max_retry=} must not be negative.")
    # Studies that share a name only wait for each other.
    with machine_lock(folder_name(study.study_name)):
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        gone = [
            trial
            for trial in trials
            if trial.state == TrialState.RUNNING
            and (_is_abandoned(trial) or (unclaimed and unclaimed.left_behind(trial)))
        ]
        # A worker that queued its own trial again may have been killed before it was told.
        queued = {n for trial in trials for n in trial.system_attrs.get("retry_history", ())}
        return [t.number for t in gone if _take_up(study, t, max_retry, t.number in queued)]


def requeue(study: optuna.Study, trial: FrozenTrial, max_retry: int | None = None) -> bool:
    """Queue a trial again, with its parameters and attributes.

    Args:
        study: The study.
        trial: The interrupted trial.
        max_retry: How often one training is taken up again; None for no limit.

    Returns:
        Whether it was queued: False if it had been retried `max_retry` times already.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        retries = len(RetryHeartbeatStaleTrialCallback.retry_history(trial))
        if max_retry is not None and retries >= max_retry:
            return False
        # The callback appends to the history it is given.
        RetryHeartbeatStaleTrialCallback(max_retry)(study, copy.deepcopy(trial))
    return True


def _take_up(study: optuna.Study, trial: FrozenTrial, max_retry: int, queued: bool) -> bool:
    try:
        if not study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL):
            return False
    except UpdateFinishedTrialError:  # another host's heartbeat was faster
        return False
    left = (trial.params, trial.user_attrs, trial.intermediate_values)  # not all have parameters
    begun = any(left) or "fixed_params" in trial.system_attrs
    if queued or not begun:
        return False  # goes on already; or a new trial is as good
    if requeue(study, trial, max_retry):
        _logger.info(f"Trial {trial.number} was interrupted and is queued again.")
        return True
    _logger.warning(f"Trial {trial.number} was interrupted and is given up: {max_retry=}.")
    return False


def _is_abandoned(trial: FrozenTrial) -> bool:
    """Whether a RUNNING trial's worker was on this machine and is gone."""
    worker = trial.system_attrs.get(WORKER_ATTR)
    if worker is None or worker["trial"] != trial.number:
        return False
    if any(worker[key] != value for key, value in _place().items()):
        return False
    try:
        process = psutil.Process(worker["pid"])
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return True
        born = _birth(worker["pid"])
        if born and worker.get("born"):
            return bool(born != worker["born"])
        drift: float = process.create_time() - worker["started"]
        return abs(drift) > _CLOCK_TOLERANCE_SECONDS
    except psutil.ZombieProcess:
        return True
    except psutil.NoSuchProcess:  # gone, or another user's and hidden
        return not psutil.pid_exists(worker["pid"])


def _birth(pid: int) -> str:
    """When a process started, by a count that no clock changes; empty if there is none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or gone
        return ""
    return f"{boot}/{fields.rpartition(')')[2].split()[19]}"


def _place() -> dict[str, str]:
    """The host, and on Linux the container, in which process numbers mean something."""
    namespace = Path("/proc/self/ns/pid")
    return {
        "host": socket.gethostname(),
        "processes": str(namespace.readlink()) if namespace.is_symlink() else "",
    }
