"""Neural architecture search on Optuna: spaces, samplers and objectives for any study."""

from __future__ import annotations

from optuna_nas import spaces

__all__ = ["spaces"]
