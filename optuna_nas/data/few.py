"""A warning, before anything is trained, that accuracies will say little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import optuna

from optuna_nas._accuracy import standard_error

if TYPE_CHECKING:
    from optuna_nas.data.image_data import ImageData
    from optuna_nas.data.text_data import TextData

__all__ = ["ENOUGH", "warn_of_few"]

ENOUGH = 10
"""Validation examples of a class below which a warning is due."""

_logger = optuna.logging.get_logger("optuna_nas")


def warn_of_few(data: ImageData | TextData) -> None:
    """Log a warning if a class has fewer than ten validation examples.

    Args:
        data: What is to be searched on.
    """
    labels = np.asarray(data.validation.labels)
    counts = np.bincount(labels, minlength=data.num_classes)
    least = int(counts.argmin())
    if counts[least] >= ENOUGH:
        return
    kind = next(iter(data.measured_on)).removeprefix("validation_")
    _logger.warning(
        f"Class {data.class_names[least]!r} has {counts[least]} validation {kind}, fewer than "
        f"{ENOUGH}: with {len(labels)} in all the standard error of an accuracy is up to "
        f"{standard_error(0.5, len(labels)):.3f}, so that good architectures and lucky ones look "
        "alike. A larger `validation_size`, or more data, tells them apart."
    )
