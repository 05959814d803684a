"""Several processes search one study."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from optuna_nas.spaces import CellSpace, SearchSpace

SCRIPT = Path(__file__).with_name("small_search.py")


@pytest.mark.parametrize(
    ("storage", "sampler"), [("sqlite", "bananas"), ("journal", "evolution-oldest")]
)
def test_processes_propose_no_duplicates(
    storage: str,
    sampler: str,
    tmp_path: Path,
    keys: Callable[[optuna.Study, SearchSpace], list[str]],
    open_storage: Callable[[str, Path], BaseStorage],
) -> None:
    """Three workers with equal seeds evaluate 27 of the 46 functions of a small space."""
    path = tmp_path / "study"
    optuna.create_study(study_name="cells", storage=open_storage(storage, path))
    workers = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), sampler, "few", f"{storage}:{path}", "cells", "9"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:  # all start at once
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], errors
    study = optuna.load_study(study_name="cells", storage=open_storage(storage, path))
    assert len(study.trials) == 27
    assert all(trial.state.is_finished() for trial in study.trials)
    space = CellSpace(3, ("skip_connect", "a", "b", "c"))
    found = keys(study, space)
    assert len(found) == sum(t.state != TrialState.FAIL for t in study.trials) > 20
    assert len(found) == len(set(found))
    # They did work at the same time.
    spans = [(t.datetime_start, t.datetime_complete) for t in study.trials]
    assert any(
        a_start < b_start < a_stop
        for a_start, a_stop in spans
        for b_start, _ in spans
        if a_start and a_stop and b_start
    )
