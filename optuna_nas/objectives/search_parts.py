"""The training images of a search by gradients: a part for weights, a part for architectures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from optuna_nas.data import ImageData, ImageSplit
from optuna_nas.data.splits import stratified_parts
from optuna_nas.objectives.image_objective import ImageObjective
from optuna_nas.objectives.options import SearchOptions


@dataclass(eq=False, repr=False)
class SearchObjective(ImageObjective, SearchOptions):
    """An objective whose trials learn architectures on images that are held out for it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _part_sizes(self.data, self.held_out)  # refuses empty ones

    @cached_property
    def _parts(self) -> tuple[ImageSplit, ImageSplit]:
        """The images for the weights, and those for the architecture, on the device."""
        weights, held_out = search_parts(self.data, self.held_out, self.seed)
        return weights.to(self.device), held_out.to(self.device)


def search_parts(data: ImageData, held_out: float, seed: int) -> tuple[ImageSplit, ImageSplit]:
    """Split the training images, each class in proportion.

    Args:
        data: The images.
        held_out: The share for the architecture, from 0 to 1.
        seed: The seed of the split.

    Returns:
        The images for the weights, and those for the architecture.

    Raises:
        ValueError: A part has fewer than two images.
    """
    rng = np.random.default_rng(seed)
    rows = stratified_parts(data.train.labels.numpy(), _part_sizes(data, held_out), rng)
    weights, architecture = (data.train.rows(torch.from_numpy(part)) for part in rows)
    return weights, architecture


def _part_sizes(data: ImageData, held_out: float) -> tuple[int, int]:
    size = round(held_out * len(data.train))
    sizes = len(data.train) - size, size
    if min(sizes) < 2:
        raise ValueError(
            f"`held_out` is {held_out}, which splits the {len(data.train)} training images into "
            f"{sizes[0]} and {sizes[1]}; each part needs 2 or more."
        )
    return sizes
