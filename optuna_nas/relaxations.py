"""The former name of :mod:`optuna_nas.supernets` and :mod:`optuna_nas.methods`; it will go."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from optuna_nas import methods, supernets

warnings.warn(
    "optuna_nas.relaxations is now optuna_nas.supernets (the networks) and optuna_nas.methods "
    "(how an architecture is learnt).",
    FutureWarning,
    stacklevel=2,
)

for _name, _module in list(sys.modules.items()):
    if _name.startswith("optuna_nas.supernets."):
        sys.modules[_name.replace(".supernets.", ".relaxations.", 1)] = _module


def __getattr__(name: str) -> Any:
    return getattr(supernets if hasattr(supernets, name) else methods, name)
