"""Regularised evolution as an OptunaHub package."""

from __future__ import annotations

from optuna_nas.samplers import RegularizedEvolutionSampler

__all__ = ["RegularizedEvolutionSampler"]
