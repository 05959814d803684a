"""The network that EdgeNES trains from scratch: that of DARTS, made of one cell.

All cells are the same one; those at one third and two thirds of the depth halve the resolution
and double the channels. So in a network of one or two cells, the published ones, all do.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.darts import DARTSNetwork
from optuna_nas.spaces import Architecture, EdgeNESSpace, Genotype
from optuna_nas.spaces.folding import ZERO


class EdgeNESNetwork(DARTSNetwork):
    """A classifier of images built from the genes of one cell.

    Args:
        genes: The operation and the input of each node.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: Channels of a node before the first reduction.
        cells: The number of cells.
        generator: The generator, on the CPU, that draws the paths to drop; None means torch's
            default generator.

    Raises:
        ValueError: An operation is unknown.
    """

    def __init__(
        self,
        genes: Sequence[tuple[str, int]],
        *,
        num_classes: int,
        in_channels: int = 3,
        channels: int = 16,
        cells: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        # The cells of DARTS add two operations in each node: here the second one is none.
        pairs = tuple(pair for gene in genes for pair in (gene, (ZERO, 0)))
        nodes = tuple(range(2, 2 + len(genes)))
        super().__init__(
            Genotype(pairs, nodes, pairs, nodes),
            num_classes=num_classes,
            in_channels=in_channels,
            channels=channels,
            cells=cells,
            generator=generator,
        )


@register_network(EdgeNESSpace, channels=16, cells=2)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, EdgeNESSpace)
    return EdgeNESNetwork(
        space.genes(architecture),
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
        cells=options.cells,
        generator=options.generator,
    )
