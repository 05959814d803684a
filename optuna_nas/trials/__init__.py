"""What connects a training to its trial: report, prune, checkpoint, resume, publish."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna_nas.trials.inheritance import Inheritance
    from optuna_nas.trials.leftovers import sweep
    from optuna_nas.trials.recovery import Unclaimed, queued_if_interrupted, recover_interrupted
    from optuna_nas.trials.run import TrialRun
    from optuna_nas.trials.stages import Stage, Stages
    from optuna_nas.trials.states import CorruptStateError
    from optuna_nas.trials.weights import load_weights

__all__ = [
    "CorruptStateError",
    "Inheritance",
    "Stage",
    "Stages",
    "TrialRun",
    "Unclaimed",
    "load_weights",
    "queued_if_interrupted",
    "recover_interrupted",
    "sweep",
]

_HOMES = {
    "CorruptStateError": "states",
    "Inheritance": "inheritance",
    "Stage": "stages",
    "Stages": "stages",
    "TrialRun": "run",
    "Unclaimed": "recovery",
    "load_weights": "weights",
    "queued_if_interrupted": "recovery",
    "recover_interrupted": "recovery",
    "sweep": "leftovers",
}


def __getattr__(name: str) -> Any:
    # PEP 562: who only looks at trials does without torch.
    if name in _HOMES:
        importlib.import_module("optuna_nas._trains")  # before torch is imported
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
