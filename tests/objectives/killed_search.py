"""A differentiable search that can be killed: run by the tests in a process of its own.

python killed_search.py FOLDER STEP
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import optuna
from torch import Tensor

from optuna_nas.data import augment, load_images
from optuna_nas.methods import GumbelSoftmax
from optuna_nas.objectives import Darts
from optuna_nas.spaces import NASBench201Space
from optuna_nas.trials import recover_interrupted

STEPS = 4  # calls of `augment` in an epoch: 2 for each of 2 batches


def make_objective(folder: Path, **options: Any) -> Darts:
    """An objective with all that is random: noise, augmentation, batches, look-ahead."""
    settings: dict[str, Any] = {
        "epochs": 3,
        "order": 2,
        "batch_size": 16,
        "channels": 2,
        "cells": 1,
        "relaxation": GumbelSoftmax(1.0, 0.3),
        "edge_weights": True,
        "architecture_learning_rate": 0.01,
        "flip": True,
        "crop_padding": 1,
        "cutout": 2,
        "device": "cpu",
        "artifacts": folder / "files",
    }
    data = load_images("digits", train_size=64, validation_size=50, test_size=40)
    return Darts(NASBench201Space(), data, **settings | options)


def search(folder: Path, **options: Any) -> None:
    """Run one trial, or go on with the one that was interrupted."""
    objective = make_objective(folder, **options)
    study = optuna.create_study(
        study_name="search",
        storage=f"sqlite:///{folder / 'study.db'}",
        direction="maximize",
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    recover_interrupted(study)
    study.optimize(objective, n_trials=1)


def kill_at(step: int) -> None:
    """Kill this process by SIGKILL at this augmentation of a batch."""
    steps = iter(range(10**6))

    def killing(*arguments: Any, **options: Any) -> Tensor:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return augment(*arguments, **options)

    mock.patch("optuna_nas.data.augmentation.augment", killing).start()


if __name__ == "__main__":
    kill_at(int(sys.argv[2]))
    search(Path(sys.argv[1]))
