"""What one trial does."""

from __future__ import annotations

from optuna_nas.objectives.cell_cnn import CellCNN

__all__ = ["CellCNN"]
