"""What can be searched: architectures written as ordinary Optuna parameters."""

from __future__ import annotations

from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.base import InvalidArchitectureError, SearchSpace
from optuna_nas.spaces.cell import CellSpace
from optuna_nas.spaces.chain import (
    FBNET_OPERATIONS,
    PROXYLESS_OPERATIONS,
    SQUEEZENAS_OPERATIONS,
    ChainSpace,
)
from optuna_nas.spaces.darts import DARTS_OPERATIONS, DARTSSpace
from optuna_nas.spaces.edge_nes import EDGE_NES_OPERATIONS, EdgeNESSpace
from optuna_nas.spaces.flat import FlatSpace
from optuna_nas.spaces.genetic_cnn import GeneticCNNSpace
from optuna_nas.spaces.genotype import Genotype
from optuna_nas.spaces.graph import GraphSpace
from optuna_nas.spaces.hierarchical import HIERARCHICAL_OPERATIONS, HierarchicalSpace
from optuna_nas.spaces.layer_drop import LayerDropSpace
from optuna_nas.spaces.mlp import MLPSpace
from optuna_nas.spaces.nasbench1shot1 import NASBench1Shot1Space
from optuna_nas.spaces.nasbench101 import (
    NAS_BENCH_101_OPERATIONS,
    NASBench101Cell,
    NASBench101Space,
)
from optuna_nas.spaces.nasbench201 import NAS_BENCH_201_OPERATIONS, NASBench201Space
from optuna_nas.spaces.nasnet import AMOEBANET_A, NASNET_A, NASNET_OPERATIONS, NASNetSpace
from optuna_nas.spaces.registry import space_from_dict
from optuna_nas.spaces.study import recall_space, remember_space

__all__ = [
    "AMOEBANET_A",
    "DARTS_OPERATIONS",
    "EDGE_NES_OPERATIONS",
    "FBNET_OPERATIONS",
    "HIERARCHICAL_OPERATIONS",
    "NASNET_A",
    "NASNET_OPERATIONS",
    "NAS_BENCH_101_OPERATIONS",
    "NAS_BENCH_201_OPERATIONS",
    "PROXYLESS_OPERATIONS",
    "SQUEEZENAS_OPERATIONS",
    "Architecture",
    "CellSpace",
    "ChainSpace",
    "DARTSSpace",
    "EdgeNESSpace",
    "FlatSpace",
    "GeneticCNNSpace",
    "Genotype",
    "GraphSpace",
    "HierarchicalSpace",
    "InvalidArchitectureError",
    "LayerDropSpace",
    "MLPSpace",
    "NASBench1Shot1Space",
    "NASBench101Cell",
    "NASBench101Space",
    "NASBench201Space",
    "NASNetSpace",
    "Path",
    "PathBlock",
    "SearchSpace",
    "recall_space",
    "remember_space",
    "space_from_dict",
]
