"""What a network costs: measures, and the goals and limits that are made of them.

Names are loaded when they are first used: measures are known by name without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna_nas.measures.cost_table import CostTable, read_cost_table
    from optuna_nas.measures.goals import Goals, Learned, MeasureLike
    from optuna_nas.measures.latency import time_networks
    from optuna_nas.measures.measure import Measure, Reading
    from optuna_nas.measures.measurements import Measurements
    from optuna_nas.measures.names import MEASURES
    from optuna_nas.measures.timing import Timing, time_in_turns

__all__ = [
    "MEASURES",
    "CostTable",
    "Goals",
    "Learned",
    "Measure",
    "MeasureLike",
    "Measurements",
    "Reading",
    "Timing",
    "read_cost_table",
    "time_in_turns",
    "time_networks",
]

_MODULES = {
    "MEASURES": "names",
    "CostTable": "cost_table",
    "Goals": "goals",
    "Learned": "goals",
    "Measure": "measure",
    "MeasureLike": "goals",
    "Measurements": "measurements",
    "Reading": "measure",
    "Timing": "timing",
    "read_cost_table": "cost_table",
    "time_in_turns": "timing",
    "time_networks": "latency",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
