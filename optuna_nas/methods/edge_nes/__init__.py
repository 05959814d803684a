"""Architectures by the number of edges that they share with an optimum."""

from __future__ import annotations

from optuna_nas.methods.edge_nes.hypernetwork import ArchitectureHypernetwork
from optuna_nas.methods.edge_nes.method import EDGE_NES
from optuna_nas.methods.edge_nes.piecewise_linear import PiecewiseLinear
from optuna_nas.methods.edge_nes.shared_edges import SharedEdges, common_edges
from optuna_nas.methods.edge_penalty import EdgePenalty

__all__ = [
    "EDGE_NES",
    "ArchitectureHypernetwork",
    "EdgePenalty",
    "PiecewiseLinear",
    "SharedEdges",
    "common_edges",
]
