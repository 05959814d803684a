"""A search for an ensemble that can be killed: run by the tests in a process of its own.

python killed_ensemble.py FOLDER BATCH
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import optuna
from torch import Tensor

from optuna_nas.data import augment, load_images
from optuna_nas.objectives.edge_nes import (
    EdgeNES,
    HypernetworkSettings,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.trials import recover_interrupted

# Batches that are augmented in an epoch of a search, for weights and architecture, and of a
# training; each search and each of three trainings has two epochs.
SEARCH, TRAINING = 4, 4


def make_objective(folder: Path, **options: Any) -> EdgeNES:
    """An objective with all that is random: noise, augmentation, batches."""
    small: dict[str, Any] = {"epochs": 2, "batch_size": 16, "channels": 2}
    rate: dict[str, Any] = {"architecture_learning_rate": 0.1}
    settings: dict[str, Any] = {
        "size": 2,
        "candidates": 3,
        "search": SupernetSettings(**small, **rate),
        "hypernetwork": HypernetworkSettings(**small, **rate),
        "training": TrainingSettings(**small),
        "flip": True,
        "crop_padding": 1,
        "cutout": 2,
        "device": "cpu",
        "artifacts": folder / "files",
    }
    data = load_images("digits", train_size=64, validation_size=50, test_size=40)
    return EdgeNES(data, **settings | options)


def search(folder: Path, **options: Any) -> None:
    """Run one trial, or go on with the one that was interrupted."""
    objective = make_objective(folder, **options)
    study = optuna.create_study(
        study_name="ensembles",
        storage=f"sqlite:///{folder / 'study.db'}",
        direction="maximize",
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    recover_interrupted(study)
    study.optimize(objective, n_trials=1)


def stop_at(batch: int, stop: Callable[[], None]) -> Any:
    """Do something when this batch is augmented, in a search or in a training."""
    count = iter(range(10**6))

    def stopping(*arguments: Any, **options: Any) -> Tensor:
        if next(count) == batch:
            stop()
        return augment(*arguments, **options)

    return mock.patch("optuna_nas.data.augmentation.augment", stopping)


if __name__ == "__main__":
    stop_at(int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    search(Path(sys.argv[1]))
