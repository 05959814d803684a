"""Pictures of architectures, figures of studies, and the report that puts them together.

Names are loaded when they are first used: drawing a cell needs no plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optuna_nas._extras import require_command_line

if TYPE_CHECKING:
    from optuna_nas.visualization.cells import cell_svg
    from optuna_nas.visualization.curves import learning_curve_svg
    from optuna_nas.visualization.drawing.terminal import cell_text
    from optuna_nas.visualization.figures import (
        plot_history,
        plot_importances,
        plot_learning_curves,
    )
    from optuna_nas.visualization.path_importance import plot_path_importance
    from optuna_nas.visualization.prediction_figures import plot_calibration, plot_predictions
    from optuna_nas.visualization.regret import plot_regret
    from optuna_nas.visualization.regret_svg import regret_svg
    from optuna_nas.visualization.report import write_report
    from optuna_nas.visualization.shared_edges import shared_edges_svg
    from optuna_nas.visualization.tradeoffs import plot_accuracy_size, plot_pareto_front
    from optuna_nas.visualization.trajectories import trajectory_svg

__all__ = [
    "cell_svg",
    "cell_text",
    "learning_curve_svg",
    "plot_accuracy_size",
    "plot_calibration",
    "plot_history",
    "plot_importances",
    "plot_learning_curves",
    "plot_pareto_front",
    "plot_path_importance",
    "plot_predictions",
    "plot_regret",
    "regret_svg",
    "shared_edges_svg",
    "trajectory_svg",
    "write_report",
]

_MODULES = {
    "cell_svg": "cells",
    "cell_text": "drawing.terminal",
    "learning_curve_svg": "curves",
    "plot_accuracy_size": "tradeoffs",
    "plot_calibration": "prediction_figures",
    "plot_history": "figures",
    "plot_importances": "figures",
    "plot_learning_curves": "figures",
    "plot_pareto_front": "tradeoffs",
    "plot_path_importance": "path_importance",
    "plot_predictions": "prediction_figures",
    "plot_regret": "regret",
    "regret_svg": "regret_svg",
    "shared_edges_svg": "shared_edges",
    "trajectory_svg": "trajectories",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not name.endswith("_svg"):
        require_command_line(name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
