"""What to try next: Optuna samplers that know what architectures are."""

from __future__ import annotations

from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import History, Observation
from optuna_nas.samplers.bananas import BananasSampler
from optuna_nas.samplers.evolution import RegularizedEvolutionSampler

__all__ = [
    "ArchitectureSampler",
    "BananasSampler",
    "History",
    "Observation",
    "RegularizedEvolutionSampler",
    "Request",
]
