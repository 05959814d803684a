"""Random flips, crops and cutout of whole batches, as CIFAR networks are trained with.

1. Each image is mirrored left to right with probability 1/2.
2. Each image is padded with zeros on all sides and cropped back at a uniformly drawn place.
3. A square is set to zero in each image, its centre drawn uniformly over the image, clipped at
   the borders (DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with
   Cutout, 2017, arXiv:1708.04552).

Images are expected normalised, so that zero is the mean colour of the training split.

*Departures* from the cutout paper's code: a square of odd side keeps its side, where halving it
twice would make it one pixel smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """What is done to each training batch.

    Attributes:
        flip: Whether images are mirrored at random.
        crop_padding: Pixels of padding before the random crop; 0 for none.
        cutout: Side of the square that is blanked; 0 for none.
    """

    flip: bool
    crop_padding: int
    cutout: int

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch, see :func:`augment`."""
        return augment(images, generator, **vars(self))


def augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    flip: bool = True,
    crop_padding: int = 4,
    cutout: int = 0,
) -> Tensor:
    """Augment a batch of images, each on its own; the input stays as it is.

    The random numbers are drawn on the generator's device, so a CPU generator gives the same
    augmentation on every device. With everything off the images are returned as they are.

    Args:
        images: Normalised images, `B C H W`.
        generator: The source of randomness.
        flip: Whether to mirror images left to right with probability 1/2.
        crop_padding: Pixels of zero padding before the crop; 0 turns the crop off. Less than H
            and W.
        cutout: Side of the square set to zero, in pixels; 0 turns it off. At most H and W.

    Returns:
        The augmented images, `B C H W`.

    Raises:
        ValueError: If the images have not four axes, or a number is out of range.
    """
    if images.ndim != 4:
        raise ValueError(f"images must have the axes B C H W, got shape {tuple(images.shape)}.")
    side = min(images.shape[2:])
    if not 0 <= crop_padding < side:
        raise ValueError(f"crop_padding must be in 0..{side - 1}, got {crop_padding}.")
    if not 0 <= cutout <= side:
        raise ValueError(f"cutout must be in 0..{side}, got {cutout}.")
    if flip:
        images = _random_flip(images, generator)
    if crop_padding:
        images = _random_crop(images, generator, crop_padding)
    if cutout:
        images = _cutout(images, generator, cutout)
    return images


def _draw(high: int, images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one integer in 0..high-1 for each image, on the device of the images; shape `B`."""
    drawn = torch.randint(high, (len(images),), generator=generator, device=generator.device)
    return drawn.to(images.device)


def _random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = _draw(2, images, generator).bool().view(-1, 1, 1, 1)  # B 1 1 1
    return torch.where(mirrored, images.flip(-1), images)


def _random_crop(images: Tensor, generator: torch.Generator, padding: int) -> Tensor:
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4)  # B C H+2p W+2p
    crops = padded.unfold(2, height, 1).unfold(3, width, 1)  # B C 2p+1 2p+1 H W, a view
    crops = crops.permute(0, 2, 3, 1, 4, 5)  # B 2p+1 2p+1 C H W
    top = _draw(2 * padding + 1, images, generator)
    left = _draw(2 * padding + 1, images, generator)
    return crops[torch.arange(len(images), device=images.device), top, left]  # B C H W


def _cutout(images: Tensor, generator: torch.Generator, side: int) -> Tensor:
    inside = []
    for length in images.shape[2:]:
        start = _draw(length, images, generator).view(-1, 1) - side // 2  # B 1
        pixels = torch.arange(length, device=images.device)  # length
        inside.append((pixels >= start) & (pixels < start + side))  # B length
    rows, columns = inside
    square = rows[:, None, :, None] & columns[:, None, None, :]  # B 1 H W
    return images.masked_fill(square, 0)
