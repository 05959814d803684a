"""The network around a cell with operations on its edges: the macro skeleton of NAS-Bench-201.

1. Stem: 3x3 convolution and batch norm.
2. Three stages of `cells` cells each, with C, 2C and 4C channels; all cells of stride 1.
3. Between two stages, a residual block that halves the resolution and doubles the channels.
4. Batch norm, ReLU, global average pooling and a linear layer.

Reference: X. Dong, Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural
Architecture Search", ICLR 2020, arXiv:2001.00326.

Departures: any number of nodes and any registered operations; edges that do not matter keep
their parameters, which count as published, but are not computed (see `liveness`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import groupby

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.layers import Classifier, Zero, relu_conv_norm, same_conv, zeros
from optuna_nas.networks.liveness import live_edges
from optuna_nas.networks.operations import operation
from optuna_nas.spaces import Architecture, CellSpace


class Cell(nn.Module):
    """A directed acyclic graph of operations; a node is the sum of its incoming edges.

    Args:
        operations: The name of the operation on each edge `(source, target)`, source < target.
            Node 0 is the input and the highest one the output.
        channels: Channels of every node.

    Raises:
        ValueError: An operation is unknown.
    """

    def __init__(self, operations: Mapping[tuple[int, int], str], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                f"{source}_{target}": operation(name)(channels, channels, 1)
                for (source, target), name in operations.items()
            }
        )
        self.output = max(target for _, target in operations)
        connected = [
            edge
            for edge, module in zip(operations, self.edges.values(), strict=True)
            if not isinstance(module, Zero)
        ]
        alive = [connected[i] for i in live_edges(connected, {0}, {self.output})]
        self._incoming = [
            (target, [(source, f"{source}_{target}") for source, _ in edges])
            for target, edges in groupby(alive, key=lambda edge: edge[1])
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B C H W` to the same shape; zeros if nothing connects input and output."""
        nodes = {0: x}
        for target, incoming in self._incoming:
            terms = (self.edges[key](nodes[source]) for source, key in incoming)
            nodes[target] = reduce(torch.add, terms)  # B C H W
        if self.output in nodes:
            return nodes[self.output]
        return zeros(x, x.shape[1])


class ResidualReduction(nn.Module):
    """The residual block between two stages: half the resolution.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            relu_conv_norm(channels_in, channels_out, 2, kernel_size=3),
            relu_conv_norm(channels_out, channels_out, kernel_size=3),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True),  # as the strided convolution rounds
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B channels_in H W` to `B channels_out H/2 W/2`."""
        out: torch.Tensor = self.branch(x) + self.shortcut(x)
        return out


class StagedNetwork(nn.Module):
    """A classifier of images built from cells that keep the resolution and the channels.

    Args:
        make_cell: Builds a cell of so many channels.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: Channels of the first stage.
        cells: Cells in each of the three stages.
    """

    def __init__(
        self,
        make_cell: Callable[[int], nn.Module],
        *,
        num_classes: int,
        in_channels: int = 3,
        channels: int = 16,
        cells: int = 5,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(same_conv(in_channels, channels, 3), nn.BatchNorm2d(channels))
        stages: list[nn.Module] = []
        for stage in range(3):
            width = channels * 2**stage
            if stage:
                stages.append(ResidualReduction(width // 2, width))
            stages += [make_cell(width) for _ in range(cells)]
        self.cells = nn.Sequential(*stages)
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.classifier = Classifier(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        x = self.cells(self.stem(images))  # B 4C H/4 W/4
        logits: torch.Tensor = self.classifier(self.norm(x))
        return logits


class CellNetwork(StagedNetwork):
    """A classifier of images built from one cell with operations on its edges.

    Args:
        operations: The cell's operations by edge (see `Cell`).
        **size: As of `StagedNetwork`.
    """

    def __init__(self, operations: Mapping[tuple[int, int], str], **size: int) -> None:
        super().__init__(lambda channels: Cell(operations, channels), **size)


@register_network(CellSpace, channels=16, cells=5)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, CellSpace)
    return CellNetwork(
        {edge: space.operation(architecture, edge) for edge in space.edges},
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
        cells=options.cells,
    )
