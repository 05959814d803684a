"""Image classification: logits of an image, cross-entropy, accuracy; flips, crops and cutout."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch.nn.functional as F

from optuna_nas._checks import checked_integer
from optuna_nas.data.augmentation import Augmentation
from optuna_nas.tasks.score import ACCURACY
from optuna_nas.tasks.task import Task

if TYPE_CHECKING:
    from optuna_nas.data import ImageData

__all__ = ["chosen_augmentation", "image_classification"]


def image_classification(
    data: ImageData,
    *,
    flip: bool | None = None,
    crop_padding: int | None = None,
    cutout: int = 0,
) -> Task:
    """To tell the class of an image.

    Args:
        data: The images.
        flip: Whether training images are mirrored at random. None: if they are coloured.
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked, in pixels.

    Raises:
        ValueError: A number does not fit the size of the images.
    """
    augment = chosen_augmentation(data, flip, crop_padding, cutout)
    return Task(
        data,
        outputs=data.num_classes,
        loss=F.cross_entropy,
        score=ACCURACY,
        augment=augment,
        settings=asdict(augment),
    )


def chosen_augmentation(
    data: ImageData, flip: bool | None, crop_padding: int | None, cutout: int
) -> Augmentation:
    """Return the augmentation for a data set.

    Args:
        data: The images.
        flip: Whether images are mirrored at random. None: if they are coloured (grey images are
            often characters, which a mirror changes).
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked, in pixels.

    Raises:
        ValueError: A number does not fit the size of the images.
    """
    side = min(data.image_size)
    return Augmentation(
        flip=data.in_channels > 1 if flip is None else bool(flip),
        crop_padding=checked_integer(
            "crop_padding", side // 8 if crop_padding is None else crop_padding, 0, side - 1
        ),
        cutout=checked_integer("cutout", cutout, 0, side),
    )
