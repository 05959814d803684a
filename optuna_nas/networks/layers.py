"""The layers that operations and networks are made of.

Convolutions have no bias, batch norm has weights. An odd height or width is halved by rounding
up, so that networks work on images of any size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas.networks.strided_pointwise import StridedPointwise


def zeros(x: torch.Tensor, channels: int, stride: int = 1) -> torch.Tensor:
    """Zeros of the shape that an operation with this stride would give `x`."""
    height, width = (-(-size // stride) for size in x.shape[2:])
    return x.new_zeros(x.shape[0], channels, height, width)


class Zero(nn.Module):
    """No connection: zeros of the right shape. Networks leave it out of their computation."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.channels_out = channels_out
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B C H W` to zeros `B channels_out H/stride W/stride`."""
        return zeros(x, self.channels_out, self.stride)


def same_conv(channels_in: int, channels_out: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the resolution, or divides it by the stride."""
    conv = StridedPointwise if kernel_size == 1 and stride > 1 else nn.Conv2d
    return conv(channels_in, channels_out, kernel_size, stride, kernel_size // 2, bias=False)


def shifted_grid(x: torch.Tensor) -> torch.Tensor:
    """Every second row and column, beginning with the second ones.

    Args:
        x: `B C H W`.

    Returns:
        `B C H/2 W/2`, rounded up; of odd sides the last line, which is not there, is zero.
    """
    height, width = x.shape[2:]
    return F.pad(x[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))


def relu_conv_norm(
    channels_in: int, channels_out: int, stride: int = 1, *, kernel_size: int
) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        same_conv(channels_in, channels_out, kernel_size, stride),
        nn.BatchNorm2d(channels_out),
    )


def conv_norm_relu(
    channels_in: int, channels_out: int, stride: int = 1, *, kernel_size: int
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        same_conv(channels_in, channels_out, kernel_size, stride),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _depthwise_pointwise(
    channels_in: int, channels_out: int, stride: int, kernel_size: int, dilation: int
) -> list[nn.Module]:
    return [
        nn.Conv2d(
            channels_in,
            channels_in,
            kernel_size,
            stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=channels_in,
            bias=False,
        ),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
    ]


def depthwise_norm_relu(
    channels_in: int, channels_out: int, stride: int = 1, *, kernel_size: int
) -> nn.Sequential:
    """Depthwise convolution, batch norm, ReLU.

    Raises:
        ValueError: The channels are to change, which takes a pointwise convolution.
    """
    if channels_in != channels_out:
        raise ValueError(f"`channels_out` is {channels_out}; allowed is {channels_in} as before.")
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(
            channels_in, channels_in, kernel_size, stride, padding, groups=channels_in, bias=False
        ),
        nn.BatchNorm2d(channels_in),
        nn.ReLU(inplace=True),
    )


def separable_norm_relu(
    channels_in: int, channels_out: int, stride: int = 1, *, kernel_size: int
) -> nn.Sequential:
    """Depthwise convolution, pointwise convolution, batch norm, ReLU."""
    return nn.Sequential(
        *_depthwise_pointwise(channels_in, channels_out, stride, kernel_size, 1),
        nn.ReLU(inplace=True),
    )


def separable_conv(
    channels_in: int, channels_out: int, stride: int = 1, *, kernel_size: int
) -> nn.Sequential:
    """ReLU, depthwise, pointwise, batch norm, twice; the first half takes the stride."""
    return nn.Sequential(
        nn.ReLU(),
        *_depthwise_pointwise(channels_in, channels_in, stride, kernel_size, 1),
        nn.ReLU(inplace=True),
        *_depthwise_pointwise(channels_in, channels_out, 1, kernel_size, 1),
    )


def dilated_conv(
    channels_in: int, channels_out: int, stride: int = 1, *, kernel_size: int
) -> nn.Sequential:
    """ReLU, depthwise with dilation 2, pointwise, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        *_depthwise_pointwise(channels_in, channels_out, stride, kernel_size, 2),
    )


class FactorizedReduce(nn.Module):
    """Halve the resolution with two 1x1 convolutions, the second one shifted by a pixel.

    One 1x1 convolution of stride 2 would read a quarter of the pixels; the two together, each
    with half of the output channels, read a half.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output; at least 2.

    Raises:
        ValueError: There are fewer than two output channels.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        if channels_out < 2:
            raise ValueError(f"`channels_out` is {channels_out}; allowed is 2 or more.")
        half = channels_out // 2
        self.relu = nn.ReLU()
        self.conv = same_conv(channels_in, half, 1, stride=2)
        self.shifted_conv = same_conv(channels_in, channels_out - half, 1)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B channels_in H W` to `B channels_out H/2 W/2`."""
        x = self.relu(x)
        halves = torch.cat([self.conv(x), self.shifted_conv(shifted_grid(x))], dim=1)
        out: torch.Tensor = self.norm(halves)  # B channels_out H/2 W/2
        return out


class Classifier(nn.Module):
    """Global average pooling and a linear layer.

    Args:
        channels: Channels of the feature map.
        num_classes: The number of logits.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B C H W` to logits `B num_classes`."""
        logits: torch.Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits
