"""The network of a chain of layers.

1. Stem: 3x3 convolution, batch norm, ReLU.
2. The layers, each the operation that was chosen for it.
3. A 1x1 convolution, batch norm and ReLU to the width of the head, if there is one; global average
   pooling and a linear layer.

References: those of :mod:`optuna_nas.spaces.chain`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.inverted_residual import InvertedResidual
from optuna_nas.networks.layers import Classifier, conv_norm_relu
from optuna_nas.networks.operations import operation
from optuna_nas.spaces import Architecture, ChainSpace
from optuna_nas.spaces.chain import Layer

__all__ = ["ChainNetwork", "InvertedResidual", "scaled_layers"]

UNIT = 16
"""The published width of the first layer, by which `channels` scales all widths."""


class ChainNetwork(nn.Module):
    """A stem, layers one behind the other, and a head.

    Args:
        space: The widths and strides.
        make_layer: Builds a layer from its number and its shape, which is scaled.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: What 16 channels of the space become.

    Attributes:
        stem: Maps images to the input of the first layer.
        layers: The layers.
        head: Maps the output of the last layer to logits.
    """

    def __init__(
        self,
        space: ChainSpace,
        make_layer: Callable[[int, Layer], nn.Module],
        *,
        num_classes: int,
        in_channels: int,
        channels: int,
    ) -> None:
        super().__init__()
        shapes = scaled_layers(space, channels)
        width = shapes[-1].channels
        self.stem = conv_norm_relu(
            in_channels, shapes[0].channels_in, space.stem[1], kernel_size=3
        )
        self.layers = nn.ModuleList(make_layer(n, shape) for n, shape in enumerate(shapes))
        head: list[nn.Module] = []
        if space.head:
            wide = _scaled(space.head, channels)
            head.append(conv_norm_relu(width, wide, kernel_size=1))
            width = wide
        self.head = nn.Sequential(*head, Classifier(width, num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        x = self.stem(images)
        for layer in self.layers:
            x = layer(x)
        logits: torch.Tensor = self.head(x)
        return logits


def scaled_layers(space: ChainSpace, channels: int) -> list[Layer]:
    """The shapes of the layers where 16 channels of the space become `channels`; even widths."""
    return [
        Layer(
            _scaled(layer.channels_in, channels), _scaled(layer.channels, channels), layer.stride
        )
        for layer in space.layers
    ]


def _scaled(width: int, channels: int) -> int:
    if channels == UNIT:
        return width
    return max(2, 2 * round(width * channels / UNIT / 2))  # even, for blocks of two groups


@register_network(ChainSpace, channels=UNIT)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, ChainSpace)
    names = space.chosen(architecture)
    return ChainNetwork(
        space,
        lambda number, shape: operation(names[number])(*shape),
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
    )
