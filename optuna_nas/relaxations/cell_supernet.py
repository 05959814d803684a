"""The supernet of NAS-Bench-201, and of any cell with operations on its edges.

The skeleton is that of the networks (:mod:`optuna_nas.networks.cell_network`): a stem, three
stages of `cells` cells with residual blocks between them that halve the resolution, and a linear
layer. All cells share the weights of the architecture.

Reference: X. Dong, Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural
Architecture Search", ICLR 2020, arXiv:2001.00326, section 5.
"""

from __future__ import annotations

import torch
from torch import nn

from optuna_nas.networks.cell_network import ResidualReduction
from optuna_nas.networks.layers import Classifier, same_conv
from optuna_nas.relaxations.cell import MixedCell
from optuna_nas.relaxations.derivation import strongest_operations
from optuna_nas.relaxations.supernet import Supernet, Weights, register_supernet
from optuna_nas.spaces import Architecture, CellSpace, SearchSpace

_KIND = "cell"


@register_supernet(CellSpace, channels=16, cells=5)
class CellSupernet(Supernet):
    """All cells of a space in one network.

    Args:
        space: The space.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: Channels of the first stage.
        cells: Cells in each of the three stages.

    Attributes:
        edges: The edges of the cell, under the name `"cell"`.
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
        assert isinstance(space, CellSpace)
        self._space = space
        self.operations = space.operations
        self.edges = {_KIND: space.edges}
        self.stem = nn.Sequential(same_conv(in_channels, channels, 3), nn.BatchNorm2d(channels))
        self.stages = nn.ModuleList()
        for stage in range(3):
            width = channels * 2**stage
            if stage:
                self.stages.append(ResidualReduction(width // 2, width))
            self.stages += [
                MixedCell(1, space.num_nodes, self.operations, width, mixture=self.mixture)
                for _ in range(cells)
            ]
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.classifier = Classifier(width, num_classes)

    def forward(self, images: torch.Tensor, weights: Weights) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        for module in self.stages:
            reduction = isinstance(module, ResidualReduction)
            x = module(x) if reduction else module([x], weights[_KIND])[-1]
        logits: torch.Tensor = self.classifier(self.norm(x))
        return logits

    def derive(self, weights: Weights) -> Architecture:
        """Keep the strongest operation of each edge; `none` is one of them."""
        chosen = strongest_operations(weights[_KIND], self.operations)
        params = zip(self.edges[_KIND], chosen, strict=True)
        return self._space.architecture({f"edge_{s}_{t}": name for (s, t), name in params})
