"""What to try next: Optuna samplers that know what architectures are."""

from __future__ import annotations

from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import History, Observation
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.samplers.bananas import BananasSampler
from optuna_nas.samplers.evolution import RegularizedEvolutionSampler
from optuna_nas.samplers.local_search import LocalSearchSampler

__all__ = [
    "ArchitectureSampler",
    "BananasSampler",
    "History",
    "LocalSearchSampler",
    "Observation",
    "Proposal",
    "RegularizedEvolutionSampler",
    "Request",
]
