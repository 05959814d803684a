"""Tables: the class of a row by cross-entropy and accuracy, or its number by squared error and R².

A number is learnt standardised by mean and standard deviation of the training rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from optuna_nas._choices import choose
from optuna_nas.tasks.score import ACCURACY, R2, rmse
from optuna_nas.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from optuna_nas.data import TableData

__all__ = ["squared_error", "tabular"]


def tabular(data: TableData, *, score: str | None = None) -> Task:
    """To tell one column of a table from the others.

    Args:
        data: The rows.
        score: `"accuracy"` of classes; `"r2"`, the share of variance that is explained, or
            `"rmse"`, the root of the mean squared error in the unit of the target, of numbers.
            None: accuracy of classes, R² of numbers.

    Raises:
        ValueError: There is no such score of this target, or the validation or test rows have one
            value of it only, so that there is no variance to explain.
    """
    if data.class_names:
        choose("score", score or "accuracy", {"accuracy": ACCURACY})
        return Task(data, data.num_classes, F.cross_entropy, ACCURACY)
    scores = {"r2": R2, "rmse": rmse(data.target_std)}
    chosen = choose("score", score or "r2", scores)
    for name, split in (("validation", data.validation), ("test", data.test)):
        if chosen is R2 and bool((split.targets == split.targets[0]).all()):
            raise ValueError(
                f"The {len(split)} {name} rows of {data.name} have one value of the target "
                f"{data.target!r}, so that R2 is not defined; choose `score`='rmse', or a larger "
                f"`{name}_size`."
            )
    return Task(data, 1, squared_error, chosen, settings={"score": chosen.name})


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error of outputs `B 1`."""
    return F.mse_loss(outputs.squeeze(1), targets)
