"""Ensembles of architectures in one trial: EdgeNES, and what it is compared with."""

from __future__ import annotations

from optuna_nas.objectives.edge_nes.edge_nes import EdgeNES
from optuna_nas.objectives.edge_nes.ensemble_search import EnsembleSearch
from optuna_nas.objectives.edge_nes.members import (
    DartsMembers,
    DeviatingMembers,
    HypernetworkMembers,
    MemberSource,
    RandomMembers,
    RepeatedMembers,
)
from optuna_nas.objectives.edge_nes.search import Candidates, Search
from optuna_nas.objectives.ensemble_settings import (
    HypernetworkSettings,
    SupernetSettings,
    TrainingSettings,
)

__all__ = [
    "Candidates",
    "DartsMembers",
    "DeviatingMembers",
    "EdgeNES",
    "EnsembleSearch",
    "HypernetworkMembers",
    "HypernetworkSettings",
    "MemberSource",
    "RandomMembers",
    "RepeatedMembers",
    "Search",
    "SupernetSettings",
    "TrainingSettings",
]
