"""A search of one trial that can be killed: run by the tests in a process of its own.

python killed_training.py FOLDER STEP
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
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import NASBench201Space
from optuna_nas.trials import recover_interrupted

CELL = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+"
    "|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|"
)
STEPS = 4  # of an epoch: 100 images in batches of 32


def make_objective(folder: Path, **options: Any) -> CellCNN:
    """An objective with random augmentation, which a resumed training must repeat."""
    settings: dict[str, Any] = {
        "epochs": 5,
        "batch_size": 32,
        "channels": 4,
        "cells": 1,
        "flip": True,
        "crop_padding": 1,
        "cutout": 2,
        "device": "cpu",
        "artifacts": folder / "files",
    }
    data = load_images("digits", train_size=100, validation_size=50, test_size=40)
    return CellCNN(NASBench201Space(), data, **settings | options)


def search(folder: Path, **options: Any) -> None:
    """Run one trial, or go on with the one that was interrupted."""
    objective = make_objective(folder, **options)
    study = optuna.create_study(
        study_name="cells",
        storage=f"sqlite:///{folder / 'study.db'}",
        direction="maximize",
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    recover_interrupted(study)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(objective.space.parse(CELL).params)
    study.optimize(objective, n_trials=1)


def kill_at(step: int) -> None:
    """Kill this process by SIGKILL in the middle of this training step."""
    steps = iter(range(10**6))

    def killing(*arguments: Any, **options: Any) -> Tensor:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return augment(*arguments, **options)

    mock.patch("optuna_nas.data.augmentation.augment", killing).start()


if __name__ == "__main__":
    kill_at(int(sys.argv[2]))
    search(Path(sys.argv[1]))
