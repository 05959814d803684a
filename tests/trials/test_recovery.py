from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from optuna_nas.trials import TrialRun, Unclaimed, recover_interrupted
from optuna_nas.trials.recovery import WORKER_ATTR, requeue, worker_identity

Change = Callable[[dict[str, Any]], None]


def new_study(folder: Path) -> optuna.Study:
    return optuna.create_study(storage=f"sqlite:///{folder / 'study.db'}", study_name="s")


def gone_process() -> int:
    """The number of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def abandoned(study: optuna.Study, change: Change | None = None) -> optuna.Trial:
    """A RUNNING trial whose worker has ended, unless `change` says otherwise."""
    trial = study.ask()
    trial.suggest_categorical("op", ["a", "b"])
    TrialRun(trial)
    worker = {**worker_identity(trial.number), "pid": gone_process()}
    if change is not None:
        change(worker)
    trial.storage.set_trial_system_attr(trial._trial_id, WORKER_ATTR, worker)
    return trial


def test_identity_is_this_process() -> None:
    study = optuna.create_study()
    trial = study.ask()
    TrialRun(trial)
    worker = study.trials[0].system_attrs[WORKER_ATTR]
    assert worker["trial"] == 0
    assert worker["host"] == socket.gethostname()
    assert worker["pid"] == os.getpid()
    assert worker["started"] == pytest.approx(psutil.Process().create_time())


def test_an_abandoned_trial_fails_and_waits_with_its_parameters(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    trial = abandoned(study)
    assert recover_interrupted(study) == [0]
    old, new = study.trials
    assert (old.state, new.state) == (TrialState.FAIL, TrialState.WAITING)
    assert new.params == old.params == trial.params
    assert recover_interrupted(study) == []  # it waits, it is not interrupted
    assert study.ask().number == 1


def _set(**values: Any) -> Change:
    return lambda worker: worker.update(values)


@pytest.mark.parametrize(
    "change",
    [
        _set(pid=os.getpid()),  # alive
        _set(pid=os.getpid(), born="", started=psutil.Process().create_time() + 2),  # a clock
        _set(host="elsewhere"),
        _set(processes="pid:[1]"),  # another container
        _set(trial=17),  # inherited from the trial it retries
    ],
)
def test_what_may_still_run_is_left_alone(tmp_path: Path, change: Change) -> None:
    study = new_study(tmp_path)
    abandoned(study, change)
    study.ask()  # a trial of an unknown worker
    assert recover_interrupted(study) == []
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 2


def test_a_process_number_that_was_given_away(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    abandoned(study, _set(pid=os.getpid(), born="other boot/123"))
    assert recover_interrupted(study) == [0]
    started = psutil.Process().create_time() - 3600
    abandoned(study, _set(pid=os.getpid(), born="", started=started))
    assert recover_interrupted(study) == [1]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux counts from the boot")
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_kills_nobody(tmp_path: Path, hours: int) -> None:
    """The system says when a process started by today's clock, also when that was set since."""
    study = new_study(tmp_path)
    started = psutil.Process().create_time() + 3600 * hours
    abandoned(study, _set(pid=os.getpid(), started=started))
    assert recover_interrupted(study) == []


def test_what_nobody_claimed_is_taken_up_after_a_while(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    abandoned(study)
    recover_interrupted(study)
    study.ask()  # the retry: its worker is killed before it says that it has it
    study.ask()  # a new one
    patient, watching = Unclaimed(60), Unclaimed(0.01)
    assert recover_interrupted(study, unclaimed=watching) == []  # seen for the first time
    time.sleep(0.05)
    assert recover_interrupted(study, unclaimed=patient) == []
    assert recover_interrupted(study) == []
    assert recover_interrupted(study, unclaimed=watching) == [1]
    states = [trial.state.name for trial in study.trials]
    assert states == ["FAIL", "FAIL", "FAIL", "WAITING"]  # a trial not begun is not repeated
    assert study.trials[3].system_attrs["retry_history"] == [0, 1]
    assert study.trials[3].params == study.trials[0].params


def test_a_trial_that_queued_itself_before_it_was_killed_is_queued_once(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    trial = abandoned(study)
    requeue(study, study.trials[trial.number])
    assert recover_interrupted(study) == []
    assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]


@pytest.mark.skipif(os.name != "posix", reason="zombies are a POSIX matter")
def test_a_killed_process_nobody_waited_for(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = psutil.Process(process.pid).create_time()
    identity = _set(pid=process.pid, born="", started=started)
    abandoned(study, identity)
    assert recover_interrupted(study) == []
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert recover_interrupted(study) == [0]
    process.wait()


def test_a_retry_is_not_mistaken_for_abandoned_before_it_starts(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    abandoned(study)
    recover_interrupted(study)
    trial = study.ask()  # RUNNING, with the system attributes of the dead worker
    assert study.trials[1].system_attrs[WORKER_ATTR]["trial"] == 0
    assert recover_interrupted(study) == []
    TrialRun(trial)
    assert study.trials[1].system_attrs[WORKER_ATTR] == worker_identity(1)
    assert recover_interrupted(study) == []


@pytest.mark.parametrize("in_memory", [False, True])
def test_retries_are_limited(tmp_path: Path, in_memory: bool) -> None:
    study = optuna.create_study() if in_memory else new_study(tmp_path)
    abandoned(study)
    assert recover_interrupted(study, max_retry=2) == [0]
    for number, expected in [(1, [1]), (2, [])]:
        trial = study.ask()
        assert trial.number == number
        worker = {**worker_identity(number), "pid": gone_process()}
        trial.storage.set_trial_system_attr(trial._trial_id, WORKER_ATTR, worker)
        assert recover_interrupted(study, max_retry=2) == expected
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 3
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        assert RetryHeartbeatStaleTrialCallback.retry_history(study.trials[2]) == [0, 1]
    assert study.trials[1].system_attrs["retry_history"] == [0]  # not touched by its own retry
    with pytest.raises(ValueError, match="max_retry=-1 must not be negative"):
        recover_interrupted(study, max_retry=-1)


def test_finished_and_waiting_trials_are_not_touched(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    study.tell(abandoned(study), 1.0)
    study.enqueue_trial({"op": "a"})
    before = study.get_trials()
    assert recover_interrupted(study) == []
    assert study.get_trials() == before


def _recover(storage: str, barrier: Any, results: Any) -> None:
    study = optuna.load_study(study_name="s", storage=storage)
    barrier.wait()
    results.put(recover_interrupted(study))


def test_two_processes_queue_a_trial_once(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    for _ in range(5):
        abandoned(study)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    workers = [
        context.Process(target=_recover, args=(storage, barrier, results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(found[0] + found[1]) == [0, 1, 2, 3, 4]
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.FAIL] * 5 + [TrialState.WAITING] * 5
