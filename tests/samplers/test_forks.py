"""A process is forked while a thread of it samples."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

import optuna
import pytest

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import CellSpace

SPACE = CellSpace(3, ("skip_connect", "a", "b", "c"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_lock_held_by_another_thread_does_not_stop_the_child(
    make: Callable[..., ArchitectureSampler],
) -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: float(len(SPACE.suggest(trial).key)), n_trials=6)
    holds, ends = threading.Event(), threading.Event()

    def sample() -> None:
        with sampler._lock:
            holds.set()
            ends.wait(60)

    thread = threading.Thread(target=sample)
    thread.start()
    assert holds.wait(10)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fresh = optuna.create_study(sampler=sampler)
            fresh.optimize(lambda trial: float(len(SPACE.suggest(trial).key)), n_trials=6)
            os.write(write, b"done")
        finally:
            os._exit(0)
    try:
        ready, _, _ = select.select([read], [], [], 30)
        assert ready and os.read(read, 4) == b"done"
    finally:
        if not ready:
            os.kill(child, 9)
        os.waitpid(child, 0)
        ends.set()
        thread.join()
        os.close(read)
        os.close(write)
