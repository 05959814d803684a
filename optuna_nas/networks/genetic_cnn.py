"""The network of Genetic CNN: stages of convolutions, with poolings between them.

1. In a stage every node is a 3x3 convolution-BN-ReLU of the sum of what it reads, all of one width
   and resolution; the first one brings the channels of the stage before to those of this one.
2. Between two stages a 3x3 max-pool halves the resolution, and the channels double.
3. Global average pooling and a linear layer.

Reference: L. Xie, A. Yuille, "Genetic CNN", ICCV 2017, arXiv:1703.01513.

Departures: batch norm; global average pooling in place of a pooling and a hidden layer of 128
units with dropout; with `cells` above 1 each stage is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import groupby

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.layers import Classifier, conv_norm_relu
from optuna_nas.spaces import Architecture, GeneticCNNSpace


class GeneticStage(nn.Module):
    """One stage.

    Args:
        edges: The connections; node 0 is the first convolution and the highest one the last.
            Without any, the stage is its first convolution.
        channels_in: Channels of the input.
        channels: Channels of every node.
    """

    def __init__(self, edges: Sequence[tuple[int, int]], channels_in: int, channels: int) -> None:
        super().__init__()
        incoming = groupby(sorted(edges, key=lambda edge: edge[1]), key=lambda edge: edge[1])
        self._sources = {node: [source for source, _ in group] for node, group in incoming}
        self.first = conv_norm_relu(channels_in, channels, kernel_size=3)
        self.nodes = nn.ModuleDict(
            {
                str(node): conv_norm_relu(channels, channels, kernel_size=3)
                for node in self._sources
            }
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B channels_in H W` to `B channels H W`."""
        value: torch.Tensor = self.first(x)
        values = {0: value}
        for node, sources in self._sources.items():
            total = reduce(torch.add, (values[source] for source in sources))
            value = values[node] = self.nodes[str(node)](total)
        return value


@register_network(GeneticCNNSpace, channels=8, cells=1)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, GeneticCNNSpace)
    layers: list[nn.Module] = []
    channels_in, channels = options.in_channels, options.channels
    for stage in range(len(space.nodes)):
        if stage:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            channels *= 2
        for _ in range(options.cells):
            layers.append(GeneticStage(space.edges(architecture, stage), channels_in, channels))
            channels_in = channels
    return nn.Sequential(*layers, Classifier(channels, options.num_classes))
