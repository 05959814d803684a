"""The supernet of DARTS.

1. Stem: 3x3 convolution to 3C channels and batch norm.
2. `cells` cells in a row, each reading the outputs of the two before it; every node reads all
   nodes before it, over mixtures of all operations.
3. The cells at one third and two thirds are reduction cells: they halve the resolution and
   double the channels, and share the weights of the architecture among themselves, as the normal
   cells do.
4. Global average pooling and a linear layer.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.
"""

from __future__ import annotations

import torch
from torch import nn

from optuna_nas.networks.layers import Classifier, FactorizedReduce, relu_conv_norm, same_conv
from optuna_nas.relaxations.cell import MixedCell, cell_edges
from optuna_nas.relaxations.derivation import strongest_pairs
from optuna_nas.relaxations.mixture import Mixture
from optuna_nas.relaxations.operations import without_norm_weights
from optuna_nas.relaxations.supernet import Supernet, Weights, register_supernet
from optuna_nas.spaces import Architecture, DARTSSpace, Genotype, SearchSpace

_INPUTS, _NODES = 2, 6
_CONCAT = tuple(range(_INPUTS, _NODES))


class _MixedPairCell(nn.Module):
    """Two inputs brought to one shape, a cell of mixtures, and its nodes concatenated."""

    def __init__(
        self,
        operations: tuple[str, ...],
        channels_in: tuple[int, int],
        channels: int,
        *,
        reduction: bool,
        after_reduction: bool,
        mixture: type[Mixture],
    ) -> None:
        super().__init__()
        self.kind = "reduce" if reduction else "normal"
        first = (
            FactorizedReduce(channels_in[0], channels)
            if after_reduction
            else relu_conv_norm(channels_in[0], channels, kernel_size=1)
        )
        second = relu_conv_norm(channels_in[1], channels, kernel_size=1)
        self.preprocess = nn.ModuleList(without_norm_weights(module) for module in (first, second))
        self.cell = MixedCell(
            _INPUTS,
            _NODES,
            operations,
            channels,
            stride=2 if reduction else 1,
            pool_norm=True,
            mixture=mixture,
        )

    def forward(
        self, before_last: torch.Tensor, last: torch.Tensor, weights: Weights
    ) -> torch.Tensor:
        inputs = [self.preprocess[0](before_last), self.preprocess[1](last)]  # B C H W
        return torch.cat(self.cell(inputs, weights[self.kind]), dim=1)  # B 4C H/stride W/stride


@register_supernet(DARTSSpace, channels=16, cells=8)
class DARTSSupernet(Supernet):
    """All pairs of a normal and a reduction cell in one network.

    Args:
        space: The space.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: Channels of a node before the first reduction.
        cells: The number of cells.

    Attributes:
        edges: The 14 edges of the cells `"normal"` and `"reduce"`.
        operations: The operations of the space.
    """

    def __init__(
        self, space: SearchSpace, *, num_classes: int, in_channels: int, channels: int, cells: int
    ) -> None:
        super().__init__(
            space,
            num_classes=num_classes,
            in_channels=in_channels,
            channels=channels,
            cells=cells,
        )
        assert isinstance(space, DARTSSpace)
        self._space = space
        self.operations = space.operations
        width = 3 * channels
        self.stem = nn.Sequential(same_conv(in_channels, width, 3), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        channels_in = (width, width)
        after_reduction = False
        for position in range(cells):
            reduction = position in (cells // 3, 2 * cells // 3)
            if reduction:
                channels *= 2
            self.cells.append(
                _MixedPairCell(
                    self.operations,
                    channels_in,
                    channels,
                    reduction=reduction,
                    after_reduction=after_reduction,
                    mixture=self.mixture,
                )
            )
            channels_in = (channels_in[1], len(_CONCAT) * channels)
            after_reduction = reduction
        edges = cell_edges(_INPUTS, _NODES)
        kinds = {cell.kind for cell in self.cells if isinstance(cell, _MixedPairCell)}
        self.edges = {kind: edges for kind in ("normal", "reduce") if kind in kinds}
        self.classifier = Classifier(channels_in[1], num_classes)

    def forward(self, images: torch.Tensor, weights: Weights) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        images = images.contiguous(memory_format=torch.channels_last)
        before_last = last = self.stem(images)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last, weights)
        logits: torch.Tensor = self.classifier(last)
        return logits

    def derive(self, weights: Weights) -> Architecture:
        """Keep the two strongest inputs of each node, each with its strongest operation.

        The strength of an edge is that of its strongest operation other than `none`.

        Raises:
            ValueError: The supernet has no cell of one kind.
        """
        if len(self.edges) < 2:
            raise ValueError(
                f"`cells` is {len(self.cells)}, which leaves only {list(self.edges)} cells to "
                "search; allowed is 3 or more."
            )
        normal, reduce = (
            strongest_pairs(weights[kind], self.edges[kind], self.operations)
            for kind in ("normal", "reduce")
        )
        return self._space.from_genotype(Genotype(normal, _CONCAT, reduce, _CONCAT))
