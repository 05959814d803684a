"""Ensembles: their quality, the choice of their members, and the speed of their search."""

from __future__ import annotations

from optuna_nas.ensembles.edge_updates import (
    expected_edge_updates,
    relative_speed,
    simulated_edge_updates,
)
from optuna_nas.ensembles.learning_speed import SpeedTest, auc_after, welch_test
from optuna_nas.ensembles.measures import (
    accuracy,
    calibration_error,
    disagreement,
    mean_probabilities,
    negative_log_likelihood,
)
from optuna_nas.ensembles.report import EnsembleReport
from optuna_nas.ensembles.selection import (
    best_ensemble,
    exhaustive_selection,
    forward_selection,
)

__all__ = [
    "EnsembleReport",
    "SpeedTest",
    "accuracy",
    "auc_after",
    "best_ensemble",
    "calibration_error",
    "disagreement",
    "exhaustive_selection",
    "expected_edge_updates",
    "forward_selection",
    "mean_probabilities",
    "negative_log_likelihood",
    "relative_speed",
    "simulated_edge_updates",
    "welch_test",
]
