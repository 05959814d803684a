"""A sampler keeps nothing: stopped and started again, the search goes on as it would have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import NASBench101Space, SearchSpace

Make = Callable[..., ArchitectureSampler]
Search = Callable[..., optuna.Study]
Proposals = Callable[[optuna.Study, SearchSpace], list[str]]
SCRIPT = Path(__file__).with_name("small_search.py")
TRIALS = 16


@pytest.mark.parametrize("cuts", [(1,), (4,), (5,), (7, 9), (3, 8, 13), tuple(range(1, TRIALS))])
def test_restarted_searches_propose_the_same(
    make: Make,
    cuts: tuple[int, ...],
    space: SearchSpace,
    search: Search,
    proposals: Proposals,
) -> None:
    """Cut at the start, between batches of the model and in the middle of them."""
    storage = optuna.storages.InMemoryStorage()
    for stop in (*cuts, TRIALS):
        study = search(make(), space, stop, storage=storage, study_name="cells")
    assert proposals(study, space) == proposals(search(make(), space, TRIALS), space)


def test_other_spaces_restart_too(make: Make, search: Search, proposals: Proposals) -> None:
    space = NASBench101Space(5)
    storage = optuna.storages.InMemoryStorage()
    for stop in (6, 8, TRIALS):
        study = search(make(), space, stop, storage=storage, study_name="cells")
    assert proposals(study, space) == proposals(search(make(), space, TRIALS), space)


def test_studies_without_a_space_restart_too(make: Make) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        return x**2 + trial.suggest_int("n", 1, 8, log=True)

    def params(study: optuna.Study) -> list[dict[str, float]]:
        return [trial.params for trial in study.trials]

    whole = optuna.create_study(sampler=make())
    whole.optimize(objective, n_trials=TRIALS)
    storage = optuna.storages.InMemoryStorage()
    for stop in (2, 6, 9, TRIALS):
        part = optuna.create_study(
            sampler=make(), storage=storage, study_name="x", load_if_exists=True
        )
        part.optimize(objective, n_trials=stop - len(part.trials))
    assert params(part) == params(whole)


def test_another_process_goes_on(
    named: tuple[str, Make],
    space: SearchSpace,
    search: Search,
    proposals: Proposals,
    open_storage: Callable[[str, Path], BaseStorage],
    tmp_path: Path,
) -> None:
    """From a file: SQLite for one sampler, a journal, which is faster, for the others."""
    name, make = named
    kind = "sqlite" if name == "bananas" else "journal"
    path = tmp_path / "study"
    search(make(), space, 8, storage=open_storage(kind, path), study_name="cells")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), name, "201", f"{kind}:{path}", "cells", "6"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        input="\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(done.stdout.removeprefix("ready")) == proposals(
        search(make(), space, 14), space
    )
