"""Searches whose trials run on Dask's and on Ray's workers."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._proposals import PROPOSAL_ATTRIBUTE
from optuna_nas.storages import open_storage
from tests.engine_searches import KILLED, SPACE, STUDY, TRIALS, choose, sampler, worth

NEEDS_DASK = pytest.mark.skipif(
    find_spec("distributed") is None or find_spec("optuna_integration") is None,
    reason="Dask is not installed: pip install 'optuna-nas[dask]'",
)
NEEDS_RAY = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'optuna-nas[ray]'"
)


def searched(engine: str, folder: Path) -> list[FrozenTrial]:
    """The trials of a search in a process of its own."""
    address = f"sqlite:///{folder / 'study.db'}"
    repository = Path(__file__).parents[1]
    path = [str(repository), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,  # or Ray writes one to the user's home
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine_searches", engine, address],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return optuna.load_study(study_name=STUDY, storage=open_storage(address)).trials


def check(trials: list[FrozenTrial]) -> None:
    """Our sampler proposed every cell, each once, and its value came back to it."""
    for trial in trials:
        architecture = SPACE.architecture(trial.params)
        assert trial.system_attrs[PROPOSAL_ATTRIBUTE] == str(architecture)
        if trial.state == TrialState.COMPLETE:
            assert trial.value == worth(trial.params)
    assert len({SPACE.architecture(trial.params).key for trial in trials}) == len(trials)


@NEEDS_DASK
@pytest.mark.slow
def test_dask_gives_the_trial_of_a_worker_that_was_killed_to_another(tmp_path: Path) -> None:
    trials = searched("dask_memory", tmp_path)
    check(trials)
    lost = [trial.number for trial in trials if trial.state != TrialState.COMPLETE]
    assert lost == [KILLED]
    # What a lost worker had finished, but not handed over, is run again, too.
    assert len(trials) - len(lost) >= TRIALS
    processes = {trial.user_attrs["process"] for trial in trials}
    assert len(processes) >= 2 and os.getpid() not in processes


@NEEDS_DASK
@pytest.mark.slow
def test_dask_workers_share_a_database(tmp_path: Path) -> None:
    trials = searched("dask_database", tmp_path)
    check(trials)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS


@NEEDS_RAY
@pytest.mark.slow
def test_ray_trains_what_the_sampler_proposes(tmp_path: Path) -> None:
    trials = searched("ray", tmp_path)
    check(trials)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS


@NEEDS_RAY
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Define-by-run function passed in the `space`:UserWarning")
def test_rays_search_goes_on_from_what_it_saved(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own imports
        from ray.tune.search.optuna import OptunaSearch

    def new() -> Any:
        return OptunaSearch(choose, metric="worth", mode="max", sampler=sampler())

    def run(search: Any, numbers: range) -> None:
        for number in numbers:
            config = search.suggest(f"trial-{number}")
            assert config == SPACE.architecture(config).params
            search.on_trial_complete(f"trial-{number}", {"worth": worth(config)})

    first = new()
    run(first, range(9))
    first.save(str(tmp_path / "search"))
    second = new()
    second.restore(str(tmp_path / "search"))
    run(second, range(9, TRIALS))
    run(first, range(9, TRIALS))
    check(second._ot_study.trials)
    assert len(second._ot_study.trials) == TRIALS
    # Saved and restored it proposes what it would have proposed.
    proposed = [[trial.params for trial in s._ot_study.trials] for s in (first, second)]
    assert proposed[0] == proposed[1]
