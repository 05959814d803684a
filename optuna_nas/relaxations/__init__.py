"""Weights and architecture learnt together: supernets, relaxations and bilevel steps."""

from __future__ import annotations

from optuna_nas.relaxations.bilevel import Unrolled, architecture_gradient
from optuna_nas.relaxations.cell import Edge, MixedCell, cell_edges
from optuna_nas.relaxations.cell_supernet import CellSupernet
from optuna_nas.relaxations.darts_supernet import DARTSSupernet
from optuna_nas.relaxations.derivation import (
    strongest_inputs,
    strongest_operations,
    strongest_pairs,
)
from optuna_nas.relaxations.edge_nes import (
    ArchitectureHypernetwork,
    EdgeNESSupernet,
    EdgePenalty,
    PiecewiseLinear,
    SharedEdges,
    common_edges,
)
from optuna_nas.relaxations.mixture import EdgeValues, Mixture
from optuna_nas.relaxations.parameters import ArchitectureParameters
from optuna_nas.relaxations.relaxation import GumbelSoftmax, Relaxation, Softmax
from optuna_nas.relaxations.supernet import (
    Supernet,
    Weights,
    build_supernet,
    frozen_statistics,
    register_supernet,
)

__all__ = [
    "ArchitectureHypernetwork",
    "ArchitectureParameters",
    "CellSupernet",
    "DARTSSupernet",
    "Edge",
    "EdgeNESSupernet",
    "EdgePenalty",
    "EdgeValues",
    "GumbelSoftmax",
    "MixedCell",
    "Mixture",
    "PiecewiseLinear",
    "Relaxation",
    "SharedEdges",
    "Softmax",
    "Supernet",
    "Unrolled",
    "Weights",
    "architecture_gradient",
    "build_supernet",
    "cell_edges",
    "common_edges",
    "frozen_statistics",
    "register_supernet",
    "strongest_inputs",
    "strongest_operations",
    "strongest_pairs",
]
