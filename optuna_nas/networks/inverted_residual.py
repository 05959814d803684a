"""Inverted residual blocks: the layers of mobile networks, as FBNet's family searches them.

1. A 1x1 convolution widens the input by the expansion, a depthwise convolution works on that, and
   a 1x1 convolution narrows it again; batch norm behind each, ReLU behind the first two.
2. With groups, both 1x1 convolutions are in groups, and the channels are shuffled after the first.
3. Where width and resolution stay, the input is added.

References: M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
arXiv:1801.04381; B. Wu et al., "FBNet", CVPR 2019, arXiv:1812.03443.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import torch
from torch import nn

from optuna_nas.networks.operations import register_operation


class InvertedResidual(nn.Module):
    """One block.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: 1 or 2.
        kernel_size: Side of the depthwise kernels.
        expansion: How many times as wide the block is inside.
        groups: Groups of the 1x1 convolutions.
        dilation: Dilation of the depthwise convolution.

    Raises:
        ValueError: The channels cannot be divided into groups.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        *,
        kernel_size: int,
        expansion: int,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        if channels_in % groups or channels_out % groups:
            raise ValueError(
                f"An inverted residual block of {groups} groups has {channels_in} and "
                f"{channels_out} channels; allowed is what {groups} divides."
            )
        width = expansion * channels_in
        padding = dilation * (kernel_size // 2)
        shuffle = [nn.ChannelShuffle(groups)] if groups > 1 else []
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, width, 1, groups=groups, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *shuffle,
            nn.Conv2d(
                width, width, kernel_size, stride, padding, dilation, groups=width, bias=False
            ),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, channels_out, 1, groups=groups, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B channels_in H W` to `B channels_out H/stride W/stride`."""
        out: torch.Tensor = self.layers(x)
        return x + out if self.adds_input else out


for _kernel, _expansion, _groups, _dilation in product((3, 5, 7), (1, 3, 6), (1, 2), (1, 2)):
    _name = f"mbconv_k{_kernel}_e{_expansion}"
    _name += f"_g{_groups}" * (_groups > 1) + f"_d{_dilation}" * (_dilation > 1)
    register_operation(_name)(
        partial(
            InvertedResidual,
            kernel_size=_kernel,
            expansion=_expansion,
            groups=_groups,
            dilation=_dilation,
        )
    )
