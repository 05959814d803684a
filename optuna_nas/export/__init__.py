"""A trained network as a folder that others can use without optuna_nas."""

from __future__ import annotations

import optuna_nas._trains  # noqa: F401 (before torch is imported)
from optuna_nas.export.ensemble import export_ensemble
from optuna_nas.export.model import export_model
from optuna_nas.export.trial import ImageObjective, export_trial

__all__ = ["ImageObjective", "export_ensemble", "export_model", "export_trial"]
