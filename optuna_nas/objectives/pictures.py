"""The picture of its learning curve that each trial publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_nas.visualization.curves import learning_curve_svg

if TYPE_CHECKING:
    from optuna_nas.trials import TrialRun

__all__ = ["publish_learning_curve"]


def publish_learning_curve(run: TrialRun, number: int, *, axis: str = "epoch") -> None:
    """Publish `learning_curve.svg`, if anything has been reported.

    Args:
        run: The run of the trial. Its curve counts reports from 0, the picture from 1.
        number: The number of the trial, for the title.
        axis: What trials report after.
    """
    if run.curve:
        curve = {step + 1: value for step, value in run.curve.items()}
        picture = learning_curve_svg(curve, title=f"Trial {number}", axis=axis)
        run.publish("learning_curve.svg", picture)
