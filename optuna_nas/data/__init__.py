"""Data to train on: labelled images or texts from a name, a local path or a hub id."""

from __future__ import annotations

import optuna_nas._trains  # noqa: F401 (before torch is imported)
from optuna_nas.data.augmentation import augment
from optuna_nas.data.image_data import ImageData, ImageSplit
from optuna_nas.data.images import load_images
from optuna_nas.data.normalisation import channel_statistics, normalise
from optuna_nas.data.split import Split, batches
from optuna_nas.data.table_data import TableData
from optuna_nas.data.tables import load_table
from optuna_nas.data.text import load_text
from optuna_nas.data.text_data import TextData, TextSplit

__all__ = [
    "ImageData",
    "ImageSplit",
    "Split",
    "TableData",
    "TextData",
    "TextSplit",
    "augment",
    "batches",
    "channel_statistics",
    "load_images",
    "load_table",
    "load_text",
    "normalise",
]
