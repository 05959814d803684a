"""The network of NASNet's cells: the row of normal and reduction cells that DARTS trains.

References: B. Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition",
CVPR 2018, arXiv:1707.07012; H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture
Search", ICLR 2019, arXiv:1806.09055, which trains NASNet-A and AmoebaNet-A so.

Departures: two results that are concatenated are brought back to the channels of a node by a
ReLU-1x1 convolution-BN; the paper does not say how.
"""

from __future__ import annotations

from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.darts import DARTSNetwork
from optuna_nas.spaces import Architecture, NASNetSpace
from optuna_nas.spaces.genotype import CELLS


@register_network(NASNetSpace, channels=36, cells=20, auxiliary=True)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, NASNetSpace)
    return DARTSNetwork(
        space.genotype(architecture),
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
        cells=options.cells,
        auxiliary=options.auxiliary,
        generator=options.generator,
        concatenating=[space.concatenating(architecture, cell) for cell in CELLS],
    )
