"""What is learnt: the head, the loss, the score and the augmentation over some data."""

from __future__ import annotations

import optuna_nas._trains  # noqa: F401 (before torch is imported)
from optuna_nas.tasks.images import image_classification
from optuna_nas.tasks.score import ACCURACY, R2, Measured, Score, rmse
from optuna_nas.tasks.tables import squared_error, tabular
from optuna_nas.tasks.task import Splits, Task
from optuna_nas.tasks.texts import text_classification

__all__ = [
    "ACCURACY",
    "R2",
    "Measured",
    "Score",
    "Splits",
    "Task",
    "image_classification",
    "rmse",
    "squared_error",
    "tabular",
    "text_classification",
]
