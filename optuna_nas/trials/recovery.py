"""Take up the trials that killed workers of this machine left behind, at once.

Optuna's heartbeat finds such trials only after a grace period, and only on a relational database.
On the machine itself it is known sooner: every trial records the worker it runs in, and a process
that is gone will not finish it.

1. Each `TrialRun` writes to a system attribute which process it runs in
   (:mod:`optuna_nas.storages.workers`).
2. `recover_interrupted` looks at the RUNNING trials. One whose worker was on this machine and is
   gone is told if its training was finished; else it is set FAIL and queued again, with its
   parameters (:mod:`optuna_nas.storages.retries`); `TrialRun.restore` then finds its checkpoint.
3. Trials of other machines, of other containers and of unknown workers are left to the heartbeat.
   So are those from before this machine was last started, if they have one: another machine of the
   same name looks the same.
4. A worker can be gone between taking a trial and saying so, before its first heartbeat as well.
   Where every worker says so at once, as those of `optuna-nas search` do, a trial that nobody has
   claimed for a while is taken up too.

Two processes may recover the same study at the same time: SQLite lets both set one trial FAIL, so
a lock on the machine makes them take turns, and the second finds nothing left to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from optuna_nas import _optuna
from optuna_nas._interrupts import held_back
from optuna_nas._locks import machine_lock
from optuna_nas.artifacts.names import folder_name
from optuna_nas.storages import MAX_RETRY
from optuna_nas.storages.heartbeats import has_heartbeat
from optuna_nas.storages.retries import is_begun, known_outcome, queued_again, requeue
from optuna_nas.storages.workers import WORKER_ATTR, Fate, worker_fate, worker_identity

__all__ = [
    "WORKER_ATTR",
    "Unclaimed",
    "queue_interrupted",
    "queued_if_interrupted",
    "recover_interrupted",
    "requeue",
    "worker_identity",
]

_logger = optuna.logging.get_logger("optuna_nas")


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
        claimed = isinstance(worker, dict) and worker.get("trial") == trial.number
        if trial.intermediate_values or claimed:
            return False
        now = time.monotonic()
        return now - self._since.setdefault(_optuna.trial_id(trial), now) > self._seconds


def recover_interrupted(
    study: optuna.Study,
    max_retry: int = MAX_RETRY,
    *,
    unclaimed: Unclaimed | None = None,
    polite: bool = False,
) -> list[int]:
    """Go on with the trials of this study that killed workers of this machine left RUNNING.

    Those whose training was finished become complete, or pruned; the others are queued again.

    Args:
        study: The study, before workers are started.
        max_retry: How often one training is taken up again before it is given up.
        unclaimed: Watches for trials that no worker has claimed, of whatever machine, from one
            call to the next; None if not every worker claims its trials.
        polite: Whether the workers were asked to stop, which does not count as one of the times.

    Returns:
        The numbers of the interrupted trials that were queued again.

    Raises:
        ValueError: If `max_retry` is negative.
    """
    if max_retry < 0:
        raise ValueError(f"{max_retry=} must not be negative.")
    # Studies that share a name only wait for each other.
    with machine_lock(folder_name(study.study_name)):
        trials = _optuna.storage(study).get_all_trials(_optuna.study_id(study), deepcopy=False)
        gone = [
            trial
            for trial in trials
            if trial.state == TrialState.RUNNING
            and (_is_abandoned(study, trial) or (unclaimed and unclaimed.left_behind(trial)))
        ]
        # A worker that queued its own trial again may have been killed before it was told.
        queued = queued_again(trials)
        return [
            trial.number
            for trial in gone
            if not _is_told(study, trial)
            and _is_failed(study, trial)
            and trial.number not in queued
            and _take_up(study, trial, max_retry, polite)
        ]


def queue_interrupted(trial: BaseTrial) -> None:
    """Queue a trial of this process again that Ctrl-C has interrupted.

    Args:
        trial: The trial; one without a study, or of which nothing is known yet, is left alone.
    """
    if not isinstance(trial, optuna.Trial):
        return
    with held_back():
        frozen = trial.storage.get_trial(_optuna.trial_id(trial))
        if is_begun(frozen) and requeue(trial.study, frozen, polite=True):
            _logger.info(f"Trial {trial.number} was interrupted and is queued again.")


@contextmanager
def queued_if_interrupted(trial: BaseTrial) -> Iterator[None]:
    """Queue a trial again if Ctrl-C comes meanwhile; see :func:`queue_interrupted`."""
    try:
        yield
    except KeyboardInterrupt:
        queue_interrupted(trial)
        raise


def _is_told(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Whether a trial's training was finished, so that its outcome is told now."""
    outcome = known_outcome(study, trial)
    return outcome is not None and _is_set(study, trial, outcome.state, outcome.values)


def _is_failed(study: optuna.Study, trial: FrozenTrial) -> bool:
    return _is_set(study, trial, TrialState.FAIL, None)


def _is_set(
    study: optuna.Study, trial: FrozenTrial, state: TrialState, values: tuple[float, ...] | None
) -> bool:
    try:
        storage = _optuna.storage(study)
        return storage.set_trial_state_values(_optuna.trial_id(trial), state, values)
    except UpdateFinishedTrialError:  # another host's heartbeat was faster
        return False


def _take_up(study: optuna.Study, trial: FrozenTrial, max_retry: int, polite: bool) -> bool:
    if not is_begun(trial):
        return False  # a new trial is as good
    if requeue(study, trial, max_retry, polite=polite):
        _logger.info(f"Trial {trial.number} was interrupted and is queued again.")
        return True
    _logger.warning(f"Trial {trial.number} was interrupted and is given up: {max_retry=}.")
    return False


def _is_abandoned(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Whether a RUNNING trial's worker was on this machine and is gone."""
    fate = worker_fate(trial)
    if fate == Fate.RESTARTED:
        return not has_heartbeat(_optuna.storage(study), _optuna.trial_id(trial))
    return fate == Fate.GONE
