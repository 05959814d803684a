"""A task of your own: to tell how large a written digit is, within one.

From the command line, in the folder of this file:

    optuna-nas search --objective train --task own_task:task --channels 4 --cells 1
    optuna-nas best
    optuna-nas report

A task is a composition. This one has the images of another task, a head of one output, the
absolute error as its loss, and as its score the share of digits that are told within one: of each
image the score observes a figure, and its mean is the score.
"""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from optuna.study import StudyDirection
from torch import Tensor

from optuna_nas.data import load_images
from optuna_nas.tasks import Score, Task, image_classification


def absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean absolute error of outputs `B 1` at digits `B`."""
    return F.l1_loss(outputs.squeeze(1), targets.float())


def near(outputs: Tensor, targets: Tensor) -> Tensor:
    """Whether each digit is told within one, `B 1`."""
    return ((outputs.squeeze(1) - targets).abs() <= 1).unsqueeze(1)


def task() -> Task:
    """The task, made when it is needed."""
    return replace(
        image_classification(load_images("digits")),
        outputs=1,
        loss=absolute_error,
        score=Score("share within one", StudyDirection.MAXIMIZE, near),
        settings={"loss": "absolute error"},
    )
