"""What connects a training to its trial: report, prune, checkpoint, resume, publish."""

from __future__ import annotations

import optuna_nas._trains  # noqa: F401 (before torch is imported)
from optuna_nas.trials.leftovers import sweep
from optuna_nas.trials.recovery import Unclaimed, queued_if_interrupted, recover_interrupted
from optuna_nas.trials.run import TrialRun
from optuna_nas.trials.states import CorruptStateError
from optuna_nas.trials.weights import load_weights

__all__ = [
    "CorruptStateError",
    "TrialRun",
    "Unclaimed",
    "load_weights",
    "queued_if_interrupted",
    "recover_interrupted",
    "sweep",
]
