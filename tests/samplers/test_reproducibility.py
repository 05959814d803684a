"""The same seed gives the same search, anywhere; nothing else is random or touched."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState
from threadpoolctl import threadpool_info

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import SearchSpace

Make = Callable[..., ArchitectureSampler]
Search = Callable[..., optuna.Study]
Proposals = Callable[[optuna.Study, SearchSpace], list[str]]
SCRIPT = Path(__file__).with_name("small_search.py")


def test_same_seed_same_proposals(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    first, second, other = (
        proposals(search(make(seed=seed), space, 14), space) for seed in (3, 3, 4)
    )
    assert first == second
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_numpy_seeds_are_seeds(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    first, second = (
        proposals(search(make(seed=seed), space, 6), space) for seed in (3, np.int64(3))
    )
    assert first == second


def test_without_a_seed_searches_differ(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    first, second = (proposals(search(make(seed=None), space, 3), space) for _ in range(2))
    assert first != second


@pytest.fixture(scope="module")
def elsewhere() -> list[dict[str, list[str]]]:
    """The proposals of all samplers in two processes that order their sets differently."""
    found = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "all", "201", "-", "-", "14"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        found.append(json.loads(done.stdout))
    return found


def test_other_processes_propose_the_same(
    named: tuple[str, Make],
    space: SearchSpace,
    search: Search,
    proposals: Proposals,
    elsewhere: list[dict[str, list[str]]],
) -> None:
    name, make = named
    here = proposals(search(make(), space, 14), space)
    assert [there[name] for there in elsewhere] == [here, here]


def test_reseeding_changes_the_proposals(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    plain, reseeded = make(), make()
    reseeded.reseed_rng()
    assert proposals(search(plain, space, 5), space) != proposals(
        search(reseeded, space, 5), space
    )


def test_reseeding_in_the_middle_changes_what_follows(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    """With `n_jobs` Optuna reseeds before every trial."""
    plain = proposals(search(make(), space, 14), space)
    sampler = make()
    study = search(sampler, space, 5)
    sampler.reseed_rng()
    reseeded = proposals(
        search(sampler, space, 14, storage=study._storage, study_name=study.study_name), space
    )
    assert reseeded[:5] == plain[:5]
    assert reseeded[5:] != plain[5:]


def test_pickling_in_the_middle_changes_nothing(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    for cut in (1, 5, 9):
        sampler = make()
        study = search(sampler, space, cut)
        study.sampler = pickle.loads(pickle.dumps(sampler))
        copied = search(
            study.sampler, space, 14, storage=study._storage, study_name=study.study_name
        )
        assert proposals(copied, space) == proposals(search(make(), space, 14), space)


def test_one_sampler_serves_many_studies(
    make: Make, space: SearchSpace, search: Search, proposals: Proposals
) -> None:
    """Studies in memory all have the number 0, yet nothing of one leaks into the next."""
    sampler, fresh = make(), make()
    other = optuna.create_study(sampler=sampler)
    other.optimize(lambda trial: -len(str(space.suggest(trial))), n_trials=14)
    used = search(sampler, space, 14)
    assert proposals(used, space) == proposals(search(fresh, space, 14), space)
    # And back to the first one.
    other.optimize(lambda trial: -len(str(space.suggest(trial))), n_trials=1)
    assert len({space.architecture(t.params).key for t in other.trials}) == 15


def test_before_and_after_a_trial_nothing_is_needed(make: Make, space: SearchSpace) -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    trial = study.ask()
    frozen = study._storage.get_trial(trial._trial_id)
    sampler.before_trial(study, frozen)
    for state, values in [
        (TrialState.COMPLETE, [1.0]),
        (TrialState.PRUNED, None),
        (TrialState.FAIL, None),
    ]:
        sampler.after_trial(study, frozen, state, values)
    assert study._storage.get_trial(trial._trial_id) == frozen
    space.suggest(trial)


def test_global_state_is_left_alone(make: Make, space: SearchSpace, search: Search) -> None:
    def state() -> tuple[Any, ...]:
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
        assert isinstance(numpy_state, dict)
        return (
            random.getstate(),
            numpy_state["state"]["key"].tolist(),
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()],
        )

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = state()
        search(make(), space, 12)
        assert state() == before
    finally:
        torch.set_num_threads(threads)


def test_two_threads_share_a_sampler(make: Make, space: SearchSpace) -> None:
    study = optuna.create_study(sampler=make())
    study.optimize(lambda trial: len(space.suggest(trial).key), n_trials=24, n_jobs=2)
    found = [space.architecture(trial.params).key for trial in study.trials]
    assert len(found) == len(set(found)) == 24
