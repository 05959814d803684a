"""Search a cell for handwritten digits with Ray Tune: our space and sampler, Ray's workers.

    pip install "optuna-nas[ray]"

Ray asks for architectures here and trains them elsewhere, so the objective gets a trial that only
holds the parameters. The study is in a database, and so in the dashboard (docs/storages.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

import optuna_nas as nas
from optuna_nas.storages import open_storage

TRIALS = 16

space = nas.spaces.NASBench201Space()


def choose(trial: optuna.Trial) -> None:
    """Let the study's sampler choose an architecture."""
    space.suggest(trial)


def train(config: dict[str, Any], objective: nas.objectives.CellCNN) -> None:
    """Train one architecture on one of Ray's workers."""
    trial = optuna.trial.FixedTrial(config)
    accuracy = objective(trial)
    tune.report({"accuracy": accuracy, "parameters": trial.user_attrs["parameters"]})


if __name__ == "__main__":
    objective = nas.objectives.CellCNN(space, data="digits", epochs=4, channels=4, cells=1)
    search = OptunaSearch(
        choose,
        metric="accuracy",
        mode="max",
        sampler=nas.BananasSampler(seed=0),
        study_name="cells",
        storage=open_storage("sqlite:///ray.db"),
    )
    ray.init(num_cpus=2, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_parameters(train, objective=objective),
        tune_config=tune.TuneConfig(
            search_alg=search,
            num_samples=TRIALS,
            max_concurrent_trials=2,  # what is asked for early is chosen without knowing much
            reuse_actors=True,  # or each trial starts a process that imports torch
        ),
        run_config=tune.RunConfig(storage_path=str(Path("ray-results").resolve()), verbose=1),
    )
    best = tuner.fit().get_best_result("accuracy", "max")
    ray.shutdown()
    print(space.architecture(best.config))
    print("validation accuracy", best.metrics["accuracy"])
