from __future__ import annotations

import math
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from optuna_nas.storages import open_storage, patient
from optuna_nas.storages.heartbeats import database_time
from optuna_nas.storages.retries import OUTCOME_ATTR, known_outcome, retry_history, state_name
from optuna_nas.trials import TrialRun, Unclaimed, recover_interrupted
from optuna_nas.trials.recovery import WORKER_ATTR, requeue, worker_identity

Change = Callable[[dict[str, Any]], None]
ASKED = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")


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
        _set(machine="0" * 16),  # another one of the same name
        *(_set(pid="7"), _set(pid=None), _set(born=[1]), _set(started="now")),  # not ours
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


@ASKED
@pytest.mark.parametrize("change", [{}, {"pid": 4_190_001, "born": "another start/7"}])
def test_another_machine_of_the_same_name_has_a_heartbeat(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """Its processes cannot be seen from here, and have the numbers of others here."""
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path / 'study.db'}"))
    trial = abandoned(study, _set(**change))
    study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
    assert recover_interrupted(study) == ([] if change else [0])


@ASKED
@pytest.mark.parametrize(("alive", "states"), [(True, ["RUNNING"]), (False, ["FAIL", "WAITING"])])
def test_an_old_heartbeat_of_a_living_worker(
    tmp_path: Path, alive: bool, states: list[str]
) -> None:
    """As all of them look when the clock was set."""
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path / 'study.db'}"))
    trial = abandoned(study, _set(pid=os.getpid()) if alive else None)
    age_heartbeat(study, trial)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        optuna.storages.fail_stale_trials(study)
    assert [t.state.name for t in study.trials] == states


@ASKED
def test_when_the_clock_of_the_database_was_set_nobody_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path / 'study.db'}"))
    trial = abandoned(study, _set(host="elsewhere"))
    storage = study._storage._backend  # type: ignore[attr-defined]
    assert storage._get_stale_trial_ids(study._study_id) == []
    later = database_time(storage) + timedelta(hours=1)
    age_heartbeat(study, trial)
    monkeypatch.setattr(patient, "database_time", lambda storage: later)
    assert storage._get_stale_trial_ids(study._study_id) == []
    storage._patiently.disturbed = -math.inf  # half a minute later it still has no heartbeat
    assert storage._get_stale_trial_ids(study._study_id) == [trial._trial_id]


def age_heartbeat(study: optuna.Study, trial: optuna.Trial) -> None:
    storage = study._storage
    storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
    engine = storage._backend.engine  # type: ignore[attr-defined]
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 hour')"
        )


def test_polite_interruptions_do_not_count(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    abandoned(study)
    for number in range(8):
        assert recover_interrupted(study, max_retry=1, polite=True) == [number]
        run_by_a_gone_process(study)
    assert recover_interrupted(study, max_retry=1) == [8]
    run_by_a_gone_process(study)
    assert recover_interrupted(study, max_retry=1) == []
    last = study.trials[-1]
    assert retry_history(last) == list(range(9))
    assert state_name(last, continued=False) == "fail"  # which a search allows more often
    assert {state_name(t, continued=True) for t in study.trials} == {"interrupted"}


def run_by_a_gone_process(study: optuna.Study) -> None:
    trial = study.ask()
    worker = {**worker_identity(trial.number), "pid": gone_process()}
    trial.storage.set_trial_system_attr(trial._trial_id, WORKER_ATTR, worker)


@pytest.mark.parametrize("outcome", [None, 7, [], {"trial": 0, "values": ["a"]}, {"trial": 1}])
@pytest.mark.parametrize("values", [[0.5, 0.5], [math.nan], [True], "0.5"])
def test_an_outcome_of_another_shape_is_none(outcome: Any, values: Any) -> None:
    study = optuna.create_study()
    trial = study.ask()
    for stored in (outcome, {"trial": 0, "values": values}):
        trial.storage.set_trial_system_attr(trial._trial_id, OUTCOME_ATTR, stored)
        assert known_outcome(study, study.trials[0]) is None
