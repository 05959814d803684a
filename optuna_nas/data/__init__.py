"""Data to train on: labelled images from a name, a local path or a hub id."""

from __future__ import annotations

from optuna_nas.data.augmentation import augment
from optuna_nas.data.image_data import ImageData, ImageSplit, batches
from optuna_nas.data.images import load_images
from optuna_nas.data.normalisation import channel_statistics, normalise

__all__ = [
    "ImageData",
    "ImageSplit",
    "augment",
    "batches",
    "channel_statistics",
    "load_images",
    "normalise",
]
