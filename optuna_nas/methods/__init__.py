"""How an architecture is learnt on shared weights."""

from __future__ import annotations

import optuna_nas._trains  # noqa: F401 (before torch is imported)
from optuna_nas.methods.bilevel import Unrolled, architecture_gradient
from optuna_nas.methods.edge_nes import (
    ArchitectureHypernetwork,
    EdgePenalty,
    PiecewiseLinear,
    SharedEdges,
    common_edges,
)
from optuna_nas.methods.parameters import ArchitectureParameters
from optuna_nas.methods.relaxation import GumbelSoftmax, Relaxation, Softmax

__all__ = [
    "ArchitectureHypernetwork",
    "ArchitectureParameters",
    "EdgePenalty",
    "GumbelSoftmax",
    "PiecewiseLinear",
    "Relaxation",
    "SharedEdges",
    "Softmax",
    "Unrolled",
    "architecture_gradient",
    "common_edges",
]
