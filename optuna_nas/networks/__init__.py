"""What gets built: operations, cells and the networks of the published spaces."""

from __future__ import annotations

import optuna_nas._trains  # before torch is imported
import optuna_nas.networks.genetic_cnn
import optuna_nas.networks.hierarchical
import optuna_nas.networks.nasnet  # noqa: F401 (these register the networks of their spaces)
from optuna_nas.networks._build import (
    NetworkBuilder,
    NetworkOptions,
    build_network,
    has_network,
    input_axes,
    register_network,
)
from optuna_nas.networks.cell_network import CellNetwork
from optuna_nas.networks.chain import ChainNetwork, InvertedResidual
from optuna_nas.networks.darts import AUXILIARY_WEIGHT, DROP_PATH_PROBABILITY, DARTSNetwork
from optuna_nas.networks.edge_nes import EdgeNESNetwork
from optuna_nas.networks.ensemble import EnsembleNetwork
from optuna_nas.networks.graph_network import GraphCell, graph_network
from optuna_nas.networks.layer_stack import check_thinnable, find_layer_stack, thin
from optuna_nas.networks.measure import count_macs, count_parameters
from optuna_nas.networks.mlp import MLPNetwork
from optuna_nas.networks.nasbench101 import NASBench101Network, compute_vertex_channels
from optuna_nas.networks.operations import (
    OperationFactory,
    known_operations,
    operation,
    register_operation,
)

__all__ = [
    "AUXILIARY_WEIGHT",
    "DROP_PATH_PROBABILITY",
    "CellNetwork",
    "ChainNetwork",
    "DARTSNetwork",
    "EdgeNESNetwork",
    "EnsembleNetwork",
    "GraphCell",
    "InvertedResidual",
    "MLPNetwork",
    "NASBench101Network",
    "NetworkBuilder",
    "NetworkOptions",
    "OperationFactory",
    "build_network",
    "check_thinnable",
    "compute_vertex_channels",
    "count_macs",
    "count_parameters",
    "find_layer_stack",
    "graph_network",
    "has_network",
    "input_axes",
    "known_operations",
    "operation",
    "register_network",
    "register_operation",
    "thin",
]
