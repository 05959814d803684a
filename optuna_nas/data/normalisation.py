"""Channels to mean zero and standard deviation one."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 1024  # images summed up in float64 at a time


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each channel, with pixel values in 0..1.

    Args:
        images: Images, uint8, `N C H W`.

    Returns:
        The means and the (population) standard deviations; 1 instead of a standard deviation of
        0, so that a constant channel is normalised to zero.
    """
    total = torch.zeros(images.shape[1], dtype=torch.float64)  # C
    squares = torch.zeros_like(total)  # C
    for chunk in torch.split(images, _CHUNK):
        values = chunk.to(torch.float64)  # n C H W; sums of integers, exact up to 2^53
        total += values.sum((0, 2, 3))
        squares += values.square().sum((0, 2, 3))
    number = images.numel() / images.shape[1]
    mean = total / number
    std = (squares / number - mean.square()).clamp(min=0).sqrt()
    std[std == 0] = 255
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return `(images / 255 - mean) / std` for each channel.

    Args:
        images: Images, uint8, `N C H W`.
        mean: The mean of each channel, length C.
        std: The standard deviation of each channel, length C.

    Returns:
        Normalised images, float32, `N C H W`.
    """
    shape = (1, -1, 1, 1)
    values = images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    return values.sub_(torch.tensor(mean).view(shape)).div_(torch.tensor(std).view(shape))
