"""Interrupts come where they do no harm, and nobody can swallow them for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import optuna
import pytest
import torch

from optuna_nas._interrupts import ask_to_stop, check_interrupted, go_on, held_back
from optuna_nas.cli.interrupts import EXIT_CODE, interruptible
from optuna_nas.data import ImageSplit, batches
from optuna_nas.storages.patience import Patience


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    go_on()
    assert handlers == {number: signal.getsignal(number) for number in handlers}


def test_what_is_held_back_follows() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("statement")
        done.append("more")
    assert done == ["statement"]


def test_a_second_interrupt_is_not_held_back() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("one")
        signal.raise_signal(signal.SIGINT)
        done.append("two")
    assert done == ["one"]


def test_what_a_program_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_not_interrupted() -> None:
    ask_to_stop()
    found: list[str] = []

    def work() -> None:
        with held_back():
            check_interrupted()
        found.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["done"]
    with pytest.raises(KeyboardInterrupt):
        check_interrupted()


@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_are_where_training_and_evaluation_stop(shuffled: bool) -> None:
    split = ImageSplit(torch.zeros(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64))
    generator = torch.Generator() if shuffled else None
    seen = 0
    with pytest.raises(KeyboardInterrupt):
        for _ in batches(split, 2, generator):
            seen += 1
            if seen == 2:
                ask_to_stop()
    assert seen == 2


def test_a_statement_is_whole_and_waiting_is_not() -> None:
    done = []

    def statement() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        Patience(60, lambda error: True)(statement)
    assert done == ["whole"]

    def away() -> None:
        ask_to_stop()
        raise OSError("away")

    with pytest.raises(KeyboardInterrupt):
        Patience(60, lambda error: True)(away)


@pytest.mark.parametrize("name", ["record_heartbeat", "set_trial_system_attr", "_get_trials"])
def test_an_interrupt_leaves_no_lock(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also in the connection's own code, where SQLAlchemy would not give it back."""
    from optuna_nas.storages import open_storage

    address = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    trial = study._storage.create_new_trial(study._study_id)
    operations: dict[str, Callable[[], object]] = {
        "record_heartbeat": lambda: study._storage.record_heartbeat(trial),  # type: ignore[attr-defined]
        "set_trial_system_attr": lambda: study._storage.set_trial_system_attr(trial, "a", 1),
        "_get_trials": lambda: study.get_trials(),
    }
    import sqlalchemy

    engine = study._storage._backend.engine  # type: ignore[attr-defined]

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def interrupted(*arguments: object) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        operations[name]()
    sqlalchemy.event.remove(engine, "before_cursor_execute", interrupted)
    other = optuna.load_study(study_name="s", storage=f"{address}?timeout=1")
    other.set_user_attr("free", True)
    study.set_user_attr("free", 1)


WORKER = """
import os, sys, time
from optuna_nas.cli import interrupts
from optuna_nas._interrupts import check_interrupted
interrupts._GRACE_SECONDS, interrupts._ECHO_SECONDS = {grace}, {echo}
with interrupts.interruptible(once=True):
    print("ready", flush=True)
    try:
        while True:
            try:
                {work}
            except:
                print("swallowed", flush=True)
    finally:
        print("left", flush=True)
"""


def start(work: str, grace: float, echo: float = 0.3) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(work=work, grace=grace, echo=echo)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


posix = pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deaf_worker_ends_by_the_second_signal(number: signal.Signals) -> None:
    process = start("time.sleep(100)", grace=100)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)  # of the supervisor, after that of the terminal
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == EXIT_CODE


@posix
def test_a_deaf_worker_ends_by_itself() -> None:
    process = start("time.sleep(100)", grace=0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == EXIT_CODE


@posix
def test_a_swallowed_interrupt_comes_again() -> None:
    process = start("check_interrupted(); time.sleep(0.1)", grace=2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output.count("swallowed") > 1
    assert process.returncode == EXIT_CODE


FORKING = """
import os, signal, time
from optuna_nas._interrupts import check_interrupted
from optuna_nas.cli.interrupts import interruptible
with interruptible(once=True):
    child = os.fork()
    if not child:
        time.sleep(60)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    time.sleep(0.2)
    check_interrupted()
    print(os.WTERMSIG(status) == signal.SIGTERM)
"""


@posix
def test_a_forked_process_ends_as_usual_and_the_worker_goes_on() -> None:
    command = [sys.executable, "-c", FORKING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True\n"


def test_a_command_is_interrupted_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError
