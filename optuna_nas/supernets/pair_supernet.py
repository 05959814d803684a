"""Supernets of cells that read the two cells before them, as in NASNet, AmoebaNet and DARTS.

1. Stem: 3x3 convolution to 3C channels and batch norm.
2. `cells` cells in a row, each reading the outputs of the two before it; every node reads all
   nodes before it, over mixtures of all operations.
3. The cells at one third and two thirds are reduction cells: they halve the resolution and
   double the channels. Cells of one kind share the weights of the architecture.
4. Global average pooling and a linear layer.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from optuna_nas.networks.layers import (
    Classifier,
    FactorizedReduce,
    relu_conv_norm,
    same_conv,
    zeros,
)
from optuna_nas.spaces import SearchSpace
from optuna_nas.supernets.cell import MixedCell, cell_edges
from optuna_nas.supernets.operations import without_norm_weights
from optuna_nas.supernets.plan import Plan
from optuna_nas.supernets.supernet import Supernet, SupernetSize, Weights

INPUTS = 2
"""The first nodes of a cell: the outputs of the two cells before it."""


class MixedPairCell(nn.Module):
    """Two inputs brought to one shape, a cell of mixtures, and its nodes concatenated.

    Args:
        operations: The operations of every edge.
        channels_in: Channels of the two inputs.
        channels: Channels of a node.
        nodes: How many nodes there are besides the inputs.
        kind: The name of the weights that the cell uses.
        reduction: Whether the cell halves the resolution.
        after_reduction: Whether input 0 still has twice the resolution of input 1.
        partial_channels: Of so many channels one goes through the operations.
    """

    def __init__(
        self,
        operations: tuple[str, ...],
        channels_in: tuple[int, int],
        channels: int,
        *,
        nodes: int,
        kind: str,
        reduction: bool,
        after_reduction: bool,
        partial_channels: int,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.channels = channels
        self.stride = 2 if reduction else 1
        first = (
            FactorizedReduce(channels_in[0], channels)
            if after_reduction
            else relu_conv_norm(channels_in[0], channels, kernel_size=1)
        )
        second = relu_conv_norm(channels_in[1], channels, kernel_size=1)
        self.preprocess = nn.ModuleList(without_norm_weights(module) for module in (first, second))
        self.cell = MixedCell(
            INPUTS,
            INPUTS + nodes,
            operations,
            channels,
            stride=self.stride,
            pool_norm=True,
            partial_channels=partial_channels,
        )

    def forward(
        self,
        before_last: torch.Tensor,
        last: torch.Tensor,
        weights: Weights,
        plans: Mapping[str, Plan] | None,
    ) -> torch.Tensor:
        """Map the two inputs to `B nodes*channels H/stride W/stride`."""
        inputs = before_last, last
        own = weights[self.kind]
        if plans is None:
            ready = [self.preprocess[i](x) for i, x in enumerate(inputs)]  # B C H W
            return torch.cat(self.cell(ready, own), dim=1)
        plan = plans[self.kind]
        read = {i: self.preprocess[i](x) for i, x in enumerate(inputs) if i in plan.leaving}
        nodes = self.cell.planned(read, own, plan)
        nothing = zeros(last, self.channels, self.stride)
        return torch.cat([nothing if node is None else node for node in nodes], dim=1)


class PairSupernet(Supernet):
    """A row of cells, each reading the two before it; a subclass says what is derived.

    Args:
        space: The space.
        size: `channels` of a node before the first reduction, `cells` in all.
        operations: The operations of every edge.
        nodes: How many nodes a cell has besides its inputs.
        kinds: The names of the weights that ordinary cells and reduction cells use; the same
            name if they are one cell.

    Attributes:
        edges: The edges of each kind of cell that the network has.
        operations: The operations of the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        size: SupernetSize,
        *,
        operations: tuple[str, ...],
        nodes: int,
        kinds: tuple[str, str],
    ) -> None:
        super().__init__(space, size)
        self.space = space
        self.operations = operations
        channels, cells = size.channels, size.cells
        width = 3 * channels
        self.stem = nn.Sequential(same_conv(size.in_channels, width, 3), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        channels_in = (width, width)
        after_reduction = False
        present = set()
        for position in range(cells):
            reduction = position in (cells // 3, 2 * cells // 3)
            if reduction:
                channels *= 2
            kind = kinds[reduction]
            self.cells.append(
                MixedPairCell(
                    operations,
                    channels_in,
                    channels,
                    nodes=nodes,
                    kind=kind,
                    reduction=reduction,
                    after_reduction=after_reduction,
                    partial_channels=size.partial_channels,
                )
            )
            channels_in = (channels_in[1], nodes * channels)
            after_reduction = reduction
            present.add(kind)
        edges = cell_edges(INPUTS, INPUTS + nodes)
        self.edges = {kind: edges for kind in dict.fromkeys(kinds) if kind in present}
        self.classifier = Classifier(channels_in[1], size.num_classes)

    def forward(
        self, images: torch.Tensor, weights: Weights, computed: Weights | None = None
    ) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        cells = {c.kind: c.cell for c in self.cells if isinstance(c, MixedPairCell)}
        plans = self._plans(cells, weights, computed)
        images = images.contiguous(memory_format=torch.channels_last)
        before_last = last = self.stem(images)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last, weights, plans)
        logits: torch.Tensor = self.classifier(last)
        return logits
