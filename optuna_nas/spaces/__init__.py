"""What can be searched: architectures written as ordinary Optuna parameters."""

from __future__ import annotations

from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.base import InvalidArchitectureError, SearchSpace
from optuna_nas.spaces.cell import CellSpace
from optuna_nas.spaces.darts import DARTS_OPERATIONS, DARTSSpace, Genotype
from optuna_nas.spaces.edge_nes import EDGE_NES_OPERATIONS, EdgeNESSpace
from optuna_nas.spaces.flat import FlatSpace
from optuna_nas.spaces.graph import GraphSpace
from optuna_nas.spaces.layer_drop import LayerDropSpace
from optuna_nas.spaces.mlp import MLPSpace
from optuna_nas.spaces.nasbench101 import (
    NAS_BENCH_101_OPERATIONS,
    NASBench101Cell,
    NASBench101Space,
)
from optuna_nas.spaces.nasbench201 import NAS_BENCH_201_OPERATIONS, NASBench201Space
from optuna_nas.spaces.registry import space_from_dict
from optuna_nas.spaces.study import recall_space, remember_space

__all__ = [
    "DARTS_OPERATIONS",
    "EDGE_NES_OPERATIONS",
    "NAS_BENCH_101_OPERATIONS",
    "NAS_BENCH_201_OPERATIONS",
    "Architecture",
    "CellSpace",
    "DARTSSpace",
    "EdgeNESSpace",
    "FlatSpace",
    "Genotype",
    "GraphSpace",
    "InvalidArchitectureError",
    "LayerDropSpace",
    "MLPSpace",
    "NASBench101Cell",
    "NASBench101Space",
    "NASBench201Space",
    "Path",
    "PathBlock",
    "SearchSpace",
    "recall_space",
    "remember_space",
    "space_from_dict",
]
