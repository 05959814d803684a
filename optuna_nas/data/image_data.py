"""Images and labels in memory, and batches of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from optuna_nas._interrupts import check_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


_HASHED_AT_ONCE = 1024  # images that are copied, where they do not lie one after the other


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """The images of one split.

    Attributes:
        images: Normalised images, float32, `N C H W`.
        labels: Class numbers, int64, `N`.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> ImageSplit:
        """Return the split on a device, itself if it is there already."""
        images, labels = self.images.to(device), self.labels.to(device)
        return self if images is self.images else ImageSplit(images, labels)


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
        found = hashlib.blake2b("\0".join(self.class_names).encode(), digest_size=8)
        for split in (self.train, self.validation, self.test):
            for tensor in (split.images, split.labels):
                found.update(f"\1{tensor.dtype}{tuple(tensor.shape)}\1".encode())
                for part in torch.split(tensor.detach(), _HASHED_AT_ONCE):
                    found.update(part.cpu().contiguous().view(torch.uint8).numpy().data)
        return found.hexdigest()

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


def batches(
    split: ImageSplit,
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    device: torch.device | str | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate once over a split in batches.

    With a generator the images come shuffled, for training: the last batch may be smaller, but a
    last batch of a single image is left out of this epoch, as batch normalisation cannot train
    on one image. Without a generator all images come in order, for evaluation.

    Args:
        split: The images.
        batch_size: Images per batch; at least 2 with a generator.
        generator: The source of randomness, advanced by each epoch; None for no shuffling.
        device: Where to put each batch; None leaves it where the split is. A split that fits on
            the device is faster moved there once, by `split.to(device)`.

    Returns:
        An iterator over images `B C H W` and labels `B`.

    Raises:
        ValueError: If the batch size, or the split, is smaller than 1, or than 2 with a
            generator.
    """
    least = 1 if generator is None else 2
    if batch_size < least:
        raise ValueError(f"batch_size must be at least {least}, got {batch_size}.")
    if len(split) < least:
        raise ValueError(f"The split must have at least {least} images, it has {len(split)}.")
    return _batches(split, batch_size, generator, device or split.images.device)


def _batches(
    split: ImageSplit,
    batch_size: int,
    generator: torch.Generator | None,
    device: torch.device | str,
) -> Iterator[tuple[Tensor, Tensor]]:
    if generator is None:
        pairs = zip(
            torch.split(split.images, batch_size),
            torch.split(split.labels, batch_size),
            strict=True,
        )
        for images, labels in pairs:
            check_interrupted()
            yield images.to(device), labels.to(device)
        return
    order = torch.randperm(len(split), generator=generator, device=generator.device)
    for rows in torch.split(order.to(split.images.device), batch_size):
        check_interrupted()
        if len(rows) > 1:
            yield split.images[rows].to(device), split.labels[rows].to(device)
