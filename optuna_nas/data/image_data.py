"""Images and labels in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optuna_nas.data.split import Split, digest_of

if TYPE_CHECKING:
    from torch import Tensor


class ImageSplit(Split):
    """The images of one split: the inputs float32, `N C H W`, the targets int64, `N`."""

    @property
    def images(self) -> Tensor:
        """Normalised images, float32, `N C H W`."""
        return self.inputs

    @property
    def labels(self) -> Tensor:
        """Class numbers, int64, `N`."""
        return self.targets


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of labelled images in three disjoint splits.

    Attributes:
        name: What was loaded.
        train: The images to train on.
        validation: The images to search on; always from the source's training split.
        test: The images for the final measurement.
        class_names: The classes by number.
        mean: The mean of each channel over the training images, with pixel values in 0..1.
        std: The standard deviation likewise; 1 for a constant channel, which becomes all zero.
    """

    name: str
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """The number of channels: 1 (grey) or 3 (RGB)."""
        return int(self.train.images.shape[1])

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.train.images.shape[2:]
        return height, width

    @property
    def measured_on(self) -> dict[str, int]:
        """How many images accuracies are of, as a trial logs it."""
        return {"validation_images": len(self.validation), "test_images": len(self.test)}

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any pixel, label, class or split."""
        return digest_of("\0".join(self.class_names), (self.train, self.validation, self.test))

    def describe(self) -> dict[str, Any]:
        """Return what the data is as plain JSON values, for logs and reports."""
        return {
            "name": self.name,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "num_classes": self.num_classes,
            "class_names": list(self.class_names),
            "in_channels": self.in_channels,
            "image_size": list(self.image_size),
            "mean": list(self.mean),
            "std": list(self.std),
            "digest": self.digest,
        }
