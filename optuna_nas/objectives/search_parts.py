"""The training images of a differentiable search: a part for weights, a part for architectures."""

from __future__ import annotations

import numpy as np
import torch

from optuna_nas.data import ImageData, ImageSplit
from optuna_nas.data.splits import stratified_parts


def search_parts(data: ImageData, held_out: float, seed: int) -> tuple[ImageSplit, ImageSplit]:
    """Split the training images, each class in proportion.

    Args:
        data: The images.
        held_out: The share for the architecture, from 0 to 1.
        seed: The seed of the split.

    Returns:
        The images for the weights, and those for the architecture.
    """
    labels = data.train.labels.numpy()
    parts = stratified_parts(labels, part_sizes(data, held_out), np.random.default_rng(seed))
    weights, architecture = (
        ImageSplit(data.train.images[rows], data.train.labels[rows])
        for rows in map(torch.from_numpy, parts)
    )
    return weights, architecture


def part_sizes(data: ImageData, held_out: float) -> tuple[int, int]:
    """How many training images there are for the weights, and for the architecture.

    Args:
        data: The images.
        held_out: The share for the architecture, from 0 to 1.

    Raises:
        ValueError: A part has fewer than two images.
    """
    size = round(held_out * len(data.train))
    sizes = len(data.train) - size, size
    if min(sizes) < 2:
        raise ValueError(
            f"`held_out` is {held_out}, which splits the {len(data.train)} training images into "
            f"{sizes[0]} and {sizes[1]}; each part needs 2 or more."
        )
    return sizes
