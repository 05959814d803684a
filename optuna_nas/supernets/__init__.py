"""Networks that hold every architecture of a space, and what is derived from their weights."""

from __future__ import annotations

import optuna_nas._trains  # noqa: F401 (before torch is imported)
from optuna_nas.supernets.cell import MixedCell, cell_edges
from optuna_nas.supernets.cell_supernet import CellSupernet
from optuna_nas.supernets.chain_supernet import ChainSupernet
from optuna_nas.supernets.darts_supernet import DARTSSupernet
from optuna_nas.supernets.derivation import (
    strongest_inputs,
    strongest_operations,
    strongest_pairs,
)
from optuna_nas.supernets.edge_nes_supernet import EdgeNESSupernet
from optuna_nas.supernets.mixture import EdgeValues, Mixture
from optuna_nas.supernets.places import Place
from optuna_nas.supernets.plan import Edge
from optuna_nas.supernets.relaxed_network import RelaxedNetwork
from optuna_nas.supernets.supernet import (
    Supernet,
    SupernetSize,
    Weights,
    build_supernet,
    frozen_statistics,
    register_supernet,
)

__all__ = [
    "CellSupernet",
    "ChainSupernet",
    "DARTSSupernet",
    "Edge",
    "EdgeNESSupernet",
    "EdgeValues",
    "MixedCell",
    "Mixture",
    "Place",
    "RelaxedNetwork",
    "Supernet",
    "SupernetSize",
    "Weights",
    "build_supernet",
    "cell_edges",
    "frozen_statistics",
    "register_supernet",
    "strongest_inputs",
    "strongest_operations",
    "strongest_pairs",
]
