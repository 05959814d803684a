"""A worker process: runs trials of a study until the study has enough.

The supervisor (:mod:`optuna_nas.cli.search`) starts it; it is not a command for people. A worker
stops itself, its trial queued again, on Ctrl-C, on SIGTERM and when its supervisor is gone: by
exit code 130 if it soon is where that does no harm, else by 137 (see `interrupts`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optuna_nas._interrupts import check_interrupted
from optuna_nas.cli.deletion import unless_deleted
from optuna_nas.cli.interrupts import INTERRUPTED_CODE, interruptible
from optuna_nas.cli.mending import mendable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    import optuna

    from optuna_nas.trials import Unclaimed

    Objective: TypeAlias = Callable[[optuna.Trial], float | Sequence[float]]

_MAX_FAILURES = 3
"""Trials that may fail in a row before a worker gives up."""

_WAIT_SECONDS = 1.0


def worker(
    index: Annotated[int, typer.Option(help="Number of the worker, from 0.")],
    threads: Annotated[int, typer.Option(help="Threads of torch.")],
    target: Annotated[int, typer.Option(help="Finished trials to reach.")],
    deadline: Annotated[
        float, typer.Option(help="Time of the machine's monotonic clock after which none starts.")
    ],
    parent: Annotated[int, typer.Option(help="Process without which the worker stops.")],
) -> None:
    """Run trials; the search's settings are read from standard input as JSON."""
    with interruptible(once=True):
        try:
            _stop_with(parent)
            _work(index, threads, target, deadline)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED_CODE) from None


def _work(index: int, threads: int, target: int, deadline: float) -> None:
    import optuna
    import torch

    from optuna_nas.cli.config import SearchConfig
    from optuna_nas.cli.studies import check_study
    from optuna_nas.storages import GRACE_SECONDS, open_storage
    from optuna_nas.trials import Unclaimed

    config = SearchConfig.from_json(sys.stdin.read())
    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    study = optuna.load_study(
        study_name=config.study,
        storage=open_storage(config.storage, wait=True),
        pruner=config.make_pruner(),
    )
    study.sampler = config.make_sampler(index, len(study.get_trials(deepcopy=False)))
    with mendable():  # another search may have begun the study at the same moment
        made = config.make_objective()
        check_study(study, config, made)
    objective = _Claiming(made)
    failures, unclaimed = _Failures(), Unclaimed(GRACE_SECONDS)
    with unless_deleted(study):
        while time.monotonic() < deadline and finished_trials(study) < target:
            check_interrupted()
            if _has_room(study, target):
                _run_trial(study, objective, failures)
                failures.check()
            else:
                _wait(study, unclaimed)


class _Failures:
    """Counts failed trials in a row, so that a broken objective does not burn a whole study."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        failed = trial.state == _states().FAIL
        self._in_a_row = self._in_a_row + 1 if failed else 0

    def check(self) -> None:
        if self._in_a_row >= _MAX_FAILURES:
            raise SystemExit(f"{_MAX_FAILURES} trials in a row failed; the worker gives up.")


def finished_trials(study: optuna.Study) -> int:
    """How many trials are complete or pruned."""
    states = _states()
    return len(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)))


def _has_room(study: optuna.Study, target: int) -> bool:
    """Whether one more trial can be started without running more than asked for."""
    running = study.get_trials(deepcopy=False, states=(_states().RUNNING,))
    return finished_trials(study) + len(running) < target


def _wait(study: optuna.Study, unclaimed: Unclaimed) -> None:
    """Wait while others train the last trials, and queue again what nobody trains any more."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import fail_stale_trials

    from optuna_nas.trials import recover_interrupted

    time.sleep(_WAIT_SECONDS)
    recover_interrupted(study, unclaimed=unclaimed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)


class _Claiming:
    """Lets each trial say who runs it before it is sampled, which may take a while."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.trial: optuna.Trial | None = None

    def __call__(self, trial: optuna.Trial) -> float | Sequence[float]:
        from optuna_nas import _optuna
        from optuna_nas.trials.recovery import (
            WORKER_ATTR,
            queued_if_interrupted,
            worker_identity,
        )

        self.trial = trial
        with queued_if_interrupted(trial):
            identity = worker_identity(trial.number)
            trial.storage.set_trial_system_attr(_optuna.trial_id(trial), WORKER_ATTR, identity)
            return self._objective(trial)


def _run_trial(study: optuna.Study, objective: _Claiming, failures: _Failures) -> None:
    """Run a trial; whether someone else ended it meanwhile is no error of this worker.

    A machine that slept, or could not reach the database for minutes, is taken for dead by the
    others, and its trial goes on elsewhere.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    from optuna_nas import _optuna

    objective.trial = None
    try:
        study.optimize(objective, n_trials=1, callbacks=[failures], catch=(Exception,))
    except (UpdateFinishedTrialError, ValueError, AssertionError):  # Optuna raises any of these
        trial = objective.trial
        if trial is None:
            raise
        stored = _optuna.storage(study).get_trial(_optuna.trial_id(trial))
        if not stored.state.is_finished():
            raise
        _log(f"Trial {trial.number} was ended by another worker, which took this one for dead.")


def _log(message: str) -> None:
    import optuna

    optuna.logging.get_logger("optuna_nas").warning(message)


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState


def _stop_with(parent: int) -> None:
    """Interrupt this process as soon as its parent is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
