"""A neural ensemble search around one optimum as an OptunaHub package."""

from __future__ import annotations

from optuna_nas.objectives import EdgeNES

__all__ = ["EdgeNES"]
