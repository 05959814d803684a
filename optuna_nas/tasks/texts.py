"""Text classification: logits of a text, cross-entropy, accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from optuna_nas.tasks.score import ACCURACY
from optuna_nas.tasks.task import Task

if TYPE_CHECKING:
    from optuna_nas.data import TextData

__all__ = ["text_classification"]


def text_classification(data: TextData) -> Task:
    """To tell the class of a text.

    Args:
        data: The texts. What a network reads of them is its tokenizer's affair, so the task has
            no `splits`.
    """
    return Task(data, outputs=data.num_classes, loss=F.cross_entropy, score=ACCURACY)
