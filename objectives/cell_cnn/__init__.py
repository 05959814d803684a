"""The training of cell networks as an OptunaHub package."""

from __future__ import annotations

from optuna_nas.objectives import CellCNN

__all__ = ["CellCNN"]
