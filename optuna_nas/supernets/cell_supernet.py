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
from optuna_nas.spaces import Architecture, CellSpace, SearchSpace
from optuna_nas.supernets.cell import MixedCell
from optuna_nas.supernets.derivation import strongest_operations
from optuna_nas.supernets.supernet import Supernet, SupernetSize, Weights, register_supernet

_KIND = "cell"


@register_supernet(CellSpace, channels=16, cells=5)
class CellSupernet(Supernet):
    """All cells of a space in one network.

    Args:
        space: The space.
        size: `channels` in the first stage, `cells` in each of the three stages.

    Attributes:
        edges: The edges of the cell, under the name `"cell"`.
        operations: The operations of the space.
    """

    space: CellSpace

    def __init__(self, space: SearchSpace, size: SupernetSize) -> None:
        super().__init__(space, size)
        assert isinstance(space, CellSpace)
        self.space = space
        self.operations = space.operations
        self.edges = {_KIND: space.edges}
        width = size.channels
        self.stem = nn.Sequential(same_conv(size.in_channels, width, 3), nn.BatchNorm2d(width))
        self.stages = nn.ModuleList()
        last = space.num_nodes - 1
        for stage in range(3):
            width = size.channels * 2**stage
            if stage:
                self.stages.append(ResidualReduction(width // 2, width))
            self.stages += [
                MixedCell(
                    1,
                    space.num_nodes,
                    self.operations,
                    width,
                    outputs=[last],
                    partial_channels=size.partial_channels,
                )
                for _ in range(size.cells)
            ]
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.classifier = Classifier(width, size.num_classes)

    def forward(
        self, images: torch.Tensor, weights: Weights, computed: Weights | None = None
    ) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        cells = [cell for cell in self.stages if isinstance(cell, MixedCell)]
        plans = self._plans(dict(zip((_KIND,), cells, strict=False)), weights, computed)
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        for module in self.stages:
            if isinstance(module, ResidualReduction):
                x = module(x)
            elif plans is None:
                x = module([x], weights[_KIND])[-1]
            else:
                assert isinstance(module, MixedCell)
                [found] = module.planned({0: x}, weights[_KIND], plans[_KIND])
                x = torch.zeros_like(x) if found is None else found
        logits: torch.Tensor = self.classifier(self.norm(x))
        return logits

    def derive(self, weights: Weights) -> Architecture:
        """Keep the strongest operation of each edge; `none` is one of them."""
        chosen = strongest_operations(weights[_KIND], self.operations)
        params = zip(self.edges[_KIND], chosen, strict=True)
        return self.space.architecture({f"edge_{s}_{t}": name for (s, t), name in params})
