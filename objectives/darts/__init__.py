"""A differentiable architecture search as an OptunaHub package."""

from __future__ import annotations

from optuna_nas.objectives import Darts

__all__ = ["Darts"]
