"""Starting, replacing and stopping workers, with shell scripts in their place."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from optuna_nas.cli import supervisor as module
from optuna_nas.cli.config import SearchConfig
from optuna_nas.cli.supervisor import Supervisor, WorkerError, threads_per_worker
from optuna_nas.trials.recovery import WORKER_ATTR, worker_identity

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the workers are shell scripts")

Start = Callable[..., Supervisor]
FOREVER = "while true; do sleep 0.02; done"


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="supervised")


@pytest.fixture
def start(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Supervisor]:
    """Make a supervisor whose workers run this shell script."""
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.02)

    def make(script: str, **options: Any) -> Supervisor:
        program = tmp_path / "worker.sh"
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        settings: dict[str, Any] = {"workers": 1, "target": 4, "deadline": 1e12, "max_restarts": 2}
        size = options.pop("size", 1)
        config = SearchConfig(
            study="supervised",
            storage="unused",
            artifacts=str(tmp_path / "files"),
            objective="cell-cnn",
            sampler="bananas",
            pruner="none",
            seed=0,
            options={"data": "x" * size},
        )
        return Supervisor(study, config, **settings | options)

    return make


def running_workers() -> list[psutil.Process]:
    """The scripts, and not what other tests have running, such as a database server."""
    return [p for p in psutil.Process().children() if p.name() == "worker.sh"]


def finish(study: optuna.Study, count: int) -> None:
    for _ in range(count):
        study.add_trial(optuna.create_trial(value=1.0))


def test_what_a_worker_is_told(start: Start, study: optuna.Study, tmp_path: Path) -> None:
    script = f'echo "$@" > called; cat > read; touch done; {FOREVER}'
    ticks = start(script, workers=2, deadline=123.5).run()
    while not (tmp_path / "done").exists():
        next(ticks)
    ticks.close()
    words = (tmp_path / "called").read_text().split()
    words = words[words.index("worker") + 1 :]
    options = dict(word.removeprefix("--").split("=") for word in words)
    assert options.pop("index") in ("0", "1")
    assert options == {
        "threads": str(threads_per_worker(2)),
        "target": "4",
        "deadline": "123.5",
        "parent": str(os.getpid()),
    }
    config = SearchConfig.from_json((tmp_path / "read").read_text())
    assert config.study == "supervised" and config.options["data"] == "x"


@pytest.mark.parametrize(("finished", "expected"), [(0, 3), (2, 2), (4, 0), (5, 0)])
def test_no_more_workers_than_missing_trials(
    start: Start, study: optuna.Study, finished: int, expected: int
) -> None:
    finish(study, finished)
    ticks = start(FOREVER, workers=3).run()
    next(ticks, None)
    assert len(running_workers()) == expected
    ticks.close()
    assert running_workers() == []


def test_it_ends_with_its_workers(start: Start, study: optuna.Study, tmp_path: Path) -> None:
    supervisor = start("while [ ! -e go ]; do sleep 0.02; done")
    for number, _ in enumerate(supervisor.run()):
        if number == 3:
            finish(study, 4)
            (tmp_path / "go").touch()
    assert supervisor._restarts_left == 2


@pytest.mark.parametrize("code", [0, 3])
def test_after_the_deadline_no_worker_is_replaced(start: Start, tmp_path: Path, code: int) -> None:
    supervisor = start(f"echo x >> starts; exit {code}", deadline=time.monotonic() - 1)
    list(supervisor.run())
    assert (tmp_path / "starts").read_text() == "x\n"


def test_a_dead_worker_is_replaced_but_not_forever(start: Start, tmp_path: Path) -> None:
    script = "echo started as $4 >> starts; echo 'line [/1]'; echo the reason >&2; exit 3"
    supervisor = start(script, max_restarts=2)
    with pytest.raises(WorkerError) as error:
        list(supervisor.run())
    assert (tmp_path / "starts").read_text() == "started as --index=0\n" * 3
    text = str(error.value)
    assert text.startswith("A worker ended with exit code 3 and no restarts are left. The end of ")
    assert str(tmp_path / "files" / "logs" / "worker-0.log") in text
    assert text.endswith("line [/1]\nthe reason")


def test_a_worker_that_was_asked_to_stop_has_not_failed(
    start: Start, study: optuna.Study, tmp_path: Path
) -> None:
    script = 'echo x >> starts; [ "$(wc -l < starts)" -gt 4 ] && touch ready; exit 130'
    supervisor = start(script, max_restarts=0)
    for _ in supervisor.run():
        if (tmp_path / "ready").exists():
            finish(study, 4)
    assert len((tmp_path / "starts").read_text().splitlines()) >= 5


def test_the_trials_of_killed_workers_wait_when_the_search_is_stopped(
    start: Start, study: optuna.Study
) -> None:
    ticks = start(FOREVER).run()
    next(ticks)
    [worker] = running_workers()
    trial = study.ask()
    trial.suggest_categorical("op", ["a", "b"])
    identity = {**worker_identity(0), "pid": worker.pid, "started": worker.create_time()}
    identity["born"] = ""
    study._storage.set_trial_system_attr(trial._trial_id, WORKER_ATTR, identity)
    ticks.close()
    assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]
    assert study.trials[1].system_attrs["optuna_nas:polite_interruptions"] == 1


def test_restarts_are_counted_anew_when_a_trial_finishes(
    start: Start, study: optuna.Study, tmp_path: Path
) -> None:
    script = "echo x >> starts; while [ ! -e die ]; do sleep 0.02; done; rm die; exit 9"
    supervisor = start(script, max_restarts=2, target=9)
    ticks = supervisor.run()

    def die() -> None:
        starts = len((tmp_path / "starts").read_text()) if (tmp_path / "starts").exists() else 0
        (tmp_path / "die").touch()
        while len((tmp_path / "starts").read_text()) == starts:
            next(ticks)

    while not (tmp_path / "starts").exists():
        next(ticks)
    for _ in range(2):
        die()
        die()
        finish(study, 1)
    die()
    die()
    with pytest.raises(WorkerError, match="exit code 9 and no restarts are left"):
        die()
    assert (tmp_path / "starts").read_text() == "x\n" * 7


@pytest.mark.parametrize(("workers", "expected"), [(1, 3), (4, 12)])
def test_each_worker_may_be_replaced_three_times(
    start: Start, workers: int, expected: int
) -> None:
    supervisor = start(FOREVER, workers=workers, max_restarts=None)
    assert supervisor._restarts_left == expected


def test_only_the_end_of_the_log_is_shown(start: Start) -> None:
    supervisor = start("for i in $(seq 50); do echo row-$i; done; exit 1", max_restarts=0)
    with pytest.raises(WorkerError) as error:
        list(supervisor.run())
    assert [line for line in str(error.value).splitlines() if line.startswith("row")] == [
        f"row-{i}" for i in range(36, 51)
    ]


def test_a_worker_that_dies_after_the_last_trial_is_no_error(
    start: Start, study: optuna.Study, tmp_path: Path
) -> None:
    supervisor = start("while [ ! -e go ]; do sleep 0.02; done; exit 1", max_restarts=0)
    for number, _ in enumerate(supervisor.run()):
        if number == 2:
            finish(study, 4)
            (tmp_path / "go").touch()


def test_if_one_gives_up_the_others_are_stopped(start: Start, tmp_path: Path) -> None:
    script = (
        'if [ "$4" = --index=0 ]; then while [ ! -e ready ]; do sleep 0.02; done; exit 1; fi\n'
        "trap 'echo interrupted > stopped; exit 130' INT; touch ready\n"
        f"{FOREVER}"
    )
    with pytest.raises(WorkerError):
        list(start(script, workers=2, max_restarts=0).run())
    assert (tmp_path / "stopped").read_text() == "interrupted\n"
    assert running_workers() == []


def test_who_does_not_stop_is_killed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.3)
    ticks = start(f"trap '' INT; touch ready; {FOREVER}").run()
    while not (tmp_path / "ready").exists():
        next(ticks)
    [worker] = running_workers()
    ticks.close()
    assert not worker.is_running()


def test_a_worker_that_does_not_read_its_settings(start: Start) -> None:
    supervisor = start("exec <&-; echo no time; exit 5", max_restarts=0, size=10**6)
    with pytest.raises(WorkerError, match="exit code 5"):
        list(supervisor.run())


def test_the_trial_of_a_killed_worker_is_queued_again(
    start: Start, study: optuna.Study, tmp_path: Path
) -> None:
    # Its first worker is killed while it runs a trial; the second one has nothing to do.
    supervisor = start("echo x >> starts; while [ ! -e done ]; do sleep 0.02; done")
    ticks = supervisor.run()
    next(ticks)
    [worker] = running_workers()
    trial = study.ask()
    trial.suggest_categorical("op", ["a", "b"])
    identity = {
        **worker_identity(trial.number),
        "pid": worker.pid,
        "started": worker.create_time(),
    }
    study._storage.set_trial_system_attr(trial._trial_id, WORKER_ATTR, identity)
    next(ticks)
    assert study.trials[0].state == TrialState.RUNNING
    worker.send_signal(signal.SIGKILL)
    while (tmp_path / "starts").read_text() != "x\nx\n":
        next(ticks)
    assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]
    assert study.trials[1].params == trial.params
    finish(study, 4)
    (tmp_path / "done").touch()
    list(ticks)


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(8)), raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for unset in (None, "", "0", "many"):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if unset is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", unset)
        assert [threads_per_worker(n) for n in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads_per_worker(n) for n in (1, 2, 3, 8, 20)] == [3, 3, 2, 1, 1]


def test_a_worker_that_is_refused_is_not_started_again(
    start: Start, study: optuna.Study, tmp_path: Path
) -> None:
    script = "echo started >> count; echo 'Error: the data have changed' >&2; exit 2"
    with pytest.raises(WorkerError, match=r"^the data have changed$"):
        list(start(script).run())
    assert (tmp_path / "count").read_text() == "started\n"
