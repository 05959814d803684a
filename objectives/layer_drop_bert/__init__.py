"""The choice of a pretrained transformer's layers as an OptunaHub package."""

from __future__ import annotations

from optuna_nas.objectives import LayerDropBert

__all__ = ["LayerDropBert"]
