"""BANANAS as an OptunaHub package."""

from __future__ import annotations

from optuna_nas.samplers import BananasSampler

__all__ = ["BananasSampler"]
