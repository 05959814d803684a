"""The images of a search for an ensemble: what each part of them is for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from optuna_nas.data import ImageData, ImageSplit
from optuna_nas.objectives.search_parts import search_parts


@dataclass(frozen=True)
class Images:
    """The images of a trial, on the device.

    Attributes:
        train: All training images.
        weights: Those that the weights of a supernet are learnt on.
        held_out: Those that architectures are learnt on.
        validation: Images for values and for the choice of the ensemble.
        test: Images for the report.
    """

    train: ImageSplit
    weights: ImageSplit
    held_out: ImageSplit
    validation: ImageSplit
    test: ImageSplit

    @classmethod
    def of(cls, data: ImageData, held_out: float, seed: int, device: torch.device) -> Images:
        """Split the training images, and put all of them on the device.

        Args:
            data: The images.
            held_out: The share of the training images that architectures are learnt on.
            seed: Seed of the split.
            device: Where to train.
        """
        weights, rest = search_parts(data, held_out, seed)
        splits = (data.train, weights, rest, data.validation, data.test)
        return cls(*(split.to(device) for split in splits))
