"""Searches of cheap cells in the processes of other engines, for `test_engines.py`.

    python -m tests.engine_searches ENGINE ADDRESS

They run in a process of their own, because engines start threads and processes, set signal
handlers, and warn of their own doings.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from typing import Any

import optuna

from optuna_nas import BananasSampler
from optuna_nas.spaces import NASBench201Space
from optuna_nas.storages import open_storage

SPACE = NASBench201Space()
TRIALS = 16
STUDY = "cells"
KILLED = 5

_WORTH = {"nor_conv_3x3": 3, "nor_conv_1x1": 2, "skip_connect": 1}


def worth(params: dict[str, Any]) -> float:
    """A number that a network can learn from few cells."""
    return float(sum(_WORTH.get(operation, 0) for operation in params.values()))


def objective(trial: optuna.Trial) -> float:
    trial.set_user_attr("process", os.getpid())
    return worth(SPACE.suggest(trial).params)


def dying(trial: optuna.Trial) -> float:
    """The same, but one trial's worker is killed."""
    value = objective(trial)
    if trial.number == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def sampler() -> BananasSampler:
    return BananasSampler(seed=0, n_startup_trials=6)


def dask_memory(address: str) -> None:
    """The study lives in the scheduler's memory, and is copied to the address in the end."""
    _dask(address, in_memory=True)


def dask_database(address: str) -> None:
    """The study lives in a database that all processes open for themselves."""
    _dask(address, in_memory=False)


def _dask(address: str, *, in_memory: bool) -> None:
    from distributed import Client
    from optuna_integration import DaskStorage

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        study = optuna.create_study(
            study_name=STUDY,
            storage=DaskStorage() if in_memory else open_storage(address),
            direction="maximize",
            sampler=sampler(),
        )
        run = dying if in_memory else objective
        tasks = [client.submit(study.optimize, run, n_trials=1, pure=False) for _ in range(TRIALS)]
        client.gather(tasks)
        if in_memory:
            optuna.copy_study(
                from_study_name=STUDY,
                from_storage=study._storage,
                to_storage=open_storage(address),
            )


def choose(trial: optuna.Trial) -> None:
    """What Ray's `OptunaSearch` takes for a space: it hands on what is suggested."""
    SPACE.suggest(trial)


def train(config: dict[str, Any]) -> None:
    from ray import tune

    tune.report({"worth": worth(config)})


def ray(address: str) -> None:
    """The study lives in this process, the trainings in Ray's."""
    import ray as engine
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    search = OptunaSearch(
        choose,
        metric="worth",
        mode="max",
        sampler=sampler(),
        study_name=STUDY,
        storage=open_storage(address),
    )
    # Its processes are given way to by all others unless it is told not to.
    engine.init(num_cpus=2, include_dashboard=False, _system_config={"worker_niceness": 0})
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            train,
            tune_config=tune.TuneConfig(
                search_alg=search,
                num_samples=TRIALS,
                max_concurrent_trials=2,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
    engine.shutdown()
    assert results.num_errors == 0


_ENGINES = {run.__name__: run for run in (dask_memory, dask_database, ray)}

if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _ENGINES[sys.argv[1]](sys.argv[2])
