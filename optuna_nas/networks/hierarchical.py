"""The network of hierarchical architectures: the flattened cell in the skeleton of NAS-Bench-201.

A node with several edges concatenates them, and a ReLU-1x1 convolution-BN brings that back to the
channels of the cell.

Reference: H. Liu et al., "Hierarchical Representations for Efficient Architecture Search", ICLR
2018, arXiv:1711.00436.

Departures: residual blocks halve the resolution between stages, where the paper has separable
convolutions.
"""

from __future__ import annotations

from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.graph_network import staged
from optuna_nas.spaces import Architecture, HierarchicalSpace


@register_network(HierarchicalSpace, channels=16, cells=1)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, HierarchicalSpace)
    return staged(space.flattened(architecture), options)
