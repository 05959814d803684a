"""Labelled images, split, normalised and in memory, ready to train on.

1. Open the source and choose its training and test splits (`sources.py`).
2. Find the image and label columns and read the labels (`columns.py`).
3. Draw the rows of each split from the labels alone, seeded and stratified by class
   (`splits.py`).
4. Decode the images of these rows, and no others, to bytes (`decoding.py`).
5. Normalise each channel by its mean and standard deviation over the training images
   (`normalisation.py`).

The validation images always come from the source's training split, and the test images never do
if the source has a test split, so a search that looks at training and validation images has not
seen the test. A source's own validation split is the test split if it has no other; otherwise it
is left unused. From a source with one split only, the test images are drawn first.

If any of the chosen images is in colour, all become RGB; otherwise they keep one grey channel.
All splits are kept in memory as float32, four bytes a value. That is simple and fast for the
data sets that architectures are searched on (CIFAR-10 takes 0.7 GB); larger ones are refused
before they are decoded, by a limit that says what to lower.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch

from optuna_nas.data.columns import find_image_column, find_label_column
from optuna_nas.data.decoding import decode_images
from optuna_nas.data.image_data import ImageData, ImageSplit
from optuna_nas.data.labels import align_labels, read_labels
from optuna_nas.data.normalisation import channel_statistics, normalise
from optuna_nas.data.sources import open_source
from optuna_nas.data.split_names import choose_splits
from optuna_nas.data.splits import SplitSizes, check_integer, draw_rows

if TYPE_CHECKING:
    from pathlib import Path

    import datasets
    from torch import Tensor

_BYTES_PER_VALUE = 5  # float32, and uint8 until it is converted
_FREE_MEMORY_SHARE = 0.5


def load_images(
    source: str | Path,
    *,
    config_name: str | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    seed: int = 0,
    memory_limit: int | None = None,
) -> ImageData:
    """Load labelled images and split them into training, validation and test images.

    All draws are stratified by class. The test images do not depend on the other sizes, nor the
    validation images on `train_size` if `validation_size` is given.

    Args:
        source: `"digits"` (1,797 handwritten digits, 8 x 8, grey, offline); a local `.parquet` or
            `.arrow` file, or a folder of such files named `train*`, `test*` and `validation*`, or
            not by splits; a folder written by `Dataset.save_to_disk`; a folder with one subfolder
            of images per class, with or without `train` and `test` above; or a dataset of the
            Hugging Face hub by its id.
        config_name: The configuration of a hub dataset that has several.
        train_split: The source's split to train and validate on; by default the one named like
            "train", or the only one.
        test_split: The source's split to test on; by default the one named like "test", else the
            one named like "validation", else the test images are drawn from the training split.
        image_column: The column of images; by default found by type and name.
        label_column: The column of labels; by default found by type and name.
        image_size: The side, or height and width, in pixels to resize all images to (bilinear).
            By default images keep their size and must all have the same.
        validation_fraction: The share of validation images among training and validation images;
            not used if `validation_size` is given.
        test_fraction: The share of test images, where they are drawn from the training split; not
            used if `test_size` is given.
        train_size: The number of training images; by default all that are left.
        validation_size: The number of validation images.
        test_size: The number of test images; by default the whole test split.
        seed: Draws the splits. Keep it the same for all trials of a study.
        memory_limit: The most bytes that the images may take while they are normalised, five for
            each value; by default half of the free memory.

    Returns:
        The images, normalised by the mean and standard deviation of the training images.

    Raises:
        TypeError: If a number is not of its type.
        ValueError: If the source cannot be read or does not hold labelled images, if a number is
            out of range or larger than the images there are, or if the images do not fit into
            `memory_limit`.
    """
    sizes = SplitSizes(train_size, validation_size, test_size, validation_fraction, test_fraction)
    check_integer("seed", seed, least=0)
    check_integer("memory_limit", memory_limit, least=1)
    target_size = _height_and_width(image_size)

    splits = open_source(source, config_name=config_name)
    train_name, test_name = choose_splits(
        splits, source=source, train_split=train_split, test_split=test_split
    )
    where = f"split {train_name!r} of {source}"
    train = test = _Table.read(splits[train_name], image_column, label_column, where)
    train.check_classes()
    if test_name is not None:
        where = f"split {test_name!r} of {source}"
        test = _Table.read(splits[test_name], train.image_column, train.label_column, where)
        test = test.renumbered(train)
    rows = draw_rows(train.labels, None if test is train else test.labels, sizes, seed)
    train.check_none_lost(rows.train)

    parts = [(train, rows.train), (train, rows.validation), (test, rows.test)]
    pixels = _decode(parts, target_size, memory_limit)
    mean, std = channel_statistics(pixels[0])
    ready: list[ImageSplit] = []
    for table, numbers in parts:
        images = normalise(pixels.pop(0), mean, std)  # lets go of the bytes split by split
        ready.append(ImageSplit(images, torch.from_numpy(table.labels[numbers])))
    return ImageData(
        name=str(source),
        train=ready[0],
        validation=ready[1],
        test=ready[2],
        class_names=tuple(train.class_names),
        mean=mean,
        std=std,
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """One split of a source, with its columns found and its labels read."""

    dataset: datasets.Dataset
    image_column: str
    label_column: str
    labels: np.ndarray
    class_names: list[str]
    where: str

    @classmethod
    def read(
        cls,
        dataset: datasets.Dataset,
        image_column: str | None,
        label_column: str | None,
        where: str,
    ) -> _Table:
        images = find_image_column(dataset, name=image_column, where=where)
        column = find_label_column(dataset, name=label_column, where=where)
        labels, class_names = read_labels(dataset, column, where=where)
        return cls(dataset, images, column, labels, class_names, where)

    def renumbered(self, train: _Table) -> _Table:
        labels = align_labels(
            self.labels,
            self.class_names,
            train_labels=train.labels,
            class_names=train.class_names,
            where=self.where,
        )
        return replace(self, labels=labels, class_names=train.class_names)

    def check_classes(self) -> None:
        present = [self.class_names[number] for number in np.unique(self.labels)]
        if len(present) < 2:
            raise ValueError(f"{self.where} has only one class, {present[0]!r}; two are needed.")

    def check_none_lost(self, rows: np.ndarray) -> None:
        lost = np.setdiff1d(self.labels, self.labels[rows])
        if len(lost):
            names = [self.class_names[number] for number in lost[:10]]
            raise ValueError(
                f"The {len(rows)} training images drawn from {self.where} have none of the "
                f"classes {names}. Raise `train_size`, or lower `validation_size` or "
                "`test_size`."
            )


def _height_and_width(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"`image_size` must be a side, or (height, width), got {image_size!r}.")
    for side in size:
        check_integer("image_size", side, least=1)
    return size[0], size[1]


def _decode(
    parts: list[tuple[_Table, np.ndarray]],
    target_size: tuple[int, int] | None,
    memory_limit: int | None,
) -> list[Tensor]:
    """Decode all splits, once it is known that they fit; uint8, `N C H W` with one C for all."""

    def decode(
        table: _Table, rows: np.ndarray, size: tuple[int, int] | None, resize: bool
    ) -> Tensor:
        images = decode_images(
            table.dataset, table.image_column, rows, size=size, resize=resize, where=table.where
        )
        return torch.from_numpy(images)

    count = sum(len(rows) for _, rows in parts)
    train, train_rows = parts[0]
    _, channels, *own_size = decode(train, train_rows[:1], None, False).shape
    height, width = target_size or own_size
    limit = memory_limit or int(psutil.virtual_memory().available * _FREE_MEMORY_SHARE)
    _check_memory((count, channels, height, width), limit)
    resize = target_size is not None
    pixels = [decode(table, rows, (height, width), resize) for table, rows in parts]
    channels = max(images.shape[1] for images in pixels)
    _check_memory((count, channels, height, width), limit)  # the first image may have been grey
    return [images.expand(-1, channels, -1, -1) for images in pixels]


def _check_memory(shape: tuple[int, ...], limit: int) -> None:
    count, channels, height, width = shape
    needed = count * channels * height * width * _BYTES_PER_VALUE
    if needed > limit:
        raise ValueError(
            f"{count} images of {channels} x {height} x {width} need {needed:,} bytes of memory, "
            f"more than `memory_limit`={limit:,}. Lower `train_size`, `validation_size`, "
            "`test_size` or `image_size`, or raise `memory_limit`."
        )
