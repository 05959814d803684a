"""The network of NAS-Bench-101: a cell with operations on its vertices.

1. Stem: 3x3 convolution, batch norm, ReLU.
2. Three stacks of `cells` cells; between two stacks a 2x2 max-pool halves the resolution, and
   the first cell of the next stack doubles the channels.
3. In a cell, the edges from the input are 1x1 convolution-BN-ReLU projections; an inner edge
   keeps the first channels of its source, as many as its target has. A vertex applies its
   operation to the sum of its edges.
4. The vertices with an edge to the output are concatenated, and an edge from the input to the
   output adds a projection to that.
5. Global average pooling and a linear layer.

Reference: C. Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML
2019, arXiv:1902.09635.

Departures: batch norm forgets with torch's momentum of 0.1 (the benchmark has 0.997 in
TensorFlow's sense, 0.003 in torch's, which takes thousands of steps to settle; epsilon is the
same, 1e-5). Weights are initialised as torch does by default.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.layers import Classifier, conv_norm_relu
from optuna_nas.networks.operations import operation
from optuna_nas.spaces import Architecture, NASBench1Shot1Space, NASBench101Cell, NASBench101Space


def compute_vertex_channels(
    channels_in: int, channels_out: int, matrix: np.ndarray
) -> tuple[int, ...]:
    """Divide a cell's channels among its vertices.

    The vertices with an edge to the output share its channels evenly, the first ones taking one
    more if they do not divide; every other vertex has as many as the widest it feeds.

    Args:
        channels_in: Channels of the cell's input.
        channels_out: Channels of its output.
        matrix: The `k x k` upper-triangular adjacency matrix of a pruned cell.

    Returns:
        The channels of the `k` vertices.

    Raises:
        ValueError: A vertex would be left without a channel.
    """
    last = len(matrix) - 1
    channels = [channels_in] + [0] * (last - 1) + [channels_out]
    inner = range(1, last)
    direct = [vertex for vertex in inner if matrix[vertex, last]]
    if direct:
        share, rest = divmod(channels_out, len(direct))
        for position, vertex in enumerate(direct):
            channels[vertex] = share + (position < rest)
    for vertex in reversed(inner):
        if not matrix[vertex, last]:
            channels[vertex] = max(channels[v] for v in inner if matrix[vertex, v])
    if not all(channels):
        raise ValueError(
            f"`channels_out` is {channels_out}; allowed is {len(direct)} or more, one for each "
            "vertex with an edge to the output. Build with more `channels`."
        )
    return tuple(channels)


class VertexCell(nn.Module):
    """A directed acyclic graph with operations on its vertices.

    Args:
        cell: The pruned cell.
        channels_in: Channels of the input.
        channels_out: Channels of the output.

    Raises:
        ValueError: An operation is unknown, or there are fewer channels than branches.
    """

    def __init__(self, cell: NASBench101Cell, channels_in: int, channels_out: int) -> None:
        super().__init__()
        matrix, names = cell
        last = len(names) - 1
        self._channels = compute_vertex_channels(channels_in, channels_out, matrix)
        self._sources = [[s for s in range(1, v) if matrix[s, v]] for v in range(last + 1)]
        self.projections = nn.ModuleDict(
            {
                str(vertex): conv_norm_relu(channels_in, self._channels[vertex], kernel_size=1)
                for vertex in range(1, last + 1)
                if matrix[0, vertex]
            }
        )
        self.operations = nn.ModuleList(
            operation(name)(channels, channels, 1)
            for name, channels in zip(names[1:-1], self._channels[1:-1], strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B channels_in H W` to `B channels_out H W`."""
        projected = {int(vertex): module(x) for vertex, module in self.projections.items()}
        values = [x]  # vertex v: B channels[v] H W
        for vertex, module in enumerate(self.operations, start=1):
            width = self._channels[vertex]
            terms = [values[source][:, :width] for source in self._sources[vertex]]
            if vertex in projected:
                terms.append(projected[vertex])
            values.append(module(reduce(torch.add, terms)))
        last = len(values)
        terms = [projected[last]] if last in projected else []
        if self._sources[last]:
            terms.append(torch.cat([values[source] for source in self._sources[last]], dim=1))
        return reduce(torch.add, terms)


class NASBench101Network(nn.Module):
    """A classifier of images built from one NAS-Bench-101 cell.

    Args:
        cell: The pruned cell.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: Channels of the first stack.
        cells: Cells in each of the three stacks.
    """

    def __init__(
        self,
        cell: NASBench101Cell,
        *,
        num_classes: int,
        in_channels: int = 3,
        channels: int = 128,
        cells: int = 3,
    ) -> None:
        super().__init__()
        self.stem = conv_norm_relu(in_channels, channels, kernel_size=3)
        stacks: list[nn.Module] = []
        width = channels
        for stack in range(3):
            if stack:
                stacks.append(nn.MaxPool2d(2, stride=2, ceil_mode=True))
            for position in range(cells):
                doubled = 2 * width if stack and position == 0 else width
                stacks.append(VertexCell(cell, width, doubled))
                width = doubled
        self.cells = nn.Sequential(*stacks)
        self.classifier = Classifier(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        logits: torch.Tensor = self.classifier(self.cells(self.stem(images)))
        return logits


@register_network(NASBench1Shot1Space, channels=128, cells=3)
@register_network(NASBench101Space, channels=128, cells=3)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, (NASBench101Space, NASBench1Shot1Space))
    return NASBench101Network(
        space.cell(architecture),
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
        cells=options.cells,
    )
