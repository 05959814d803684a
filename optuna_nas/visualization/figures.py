"""Figures of a search, in Optuna's convention: `plot_x(study) -> plotly Figure`.

Unlike Optuna's own they show names of parameters and objectives as they are, whatever HTML is in
them, and know what our objectives log: sizes, test accuracy, whole learning curves.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState

from optuna_nas._ranking import best_trials, direction_signs
from optuna_nas.storages.retries import INTERRUPTED
from optuna_nas.visualization.records import (
    TrialRecord,
    objective_name,
    objective_names,
    read_records,
)
from optuna_nas.visualization.style import (
    BEST,
    COMPLETE,
    FAINT,
    axis_name,
    empty_note,
    new_figure,
    plain,
    trial_points,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["plot_history", "plot_importances", "plot_learning_curves"]

_MIN_TRIALS_FOR_IMPORTANCES = 10
_MAX_BARS = 15
_MAX_POINTS = 40_000
_MAX_TICKS = 12
_MAX_DOTTED = 60


def plot_history(study: optuna.Study, *, objective: int = 0) -> go.Figure:
    """Plot the value of each finished trial and the best one so far.

    Args:
        study: The study.
        objective: Which of its objectives.

    Raises:
        ValueError: There is no such objective.
    """
    name = objective_name(study, objective)
    sign = direction_signs(study.directions)[objective]
    figure = new_figure("Optimisation history", "Trial", axis_name(name))
    records = [record for record in read_records(study) if record.finished]
    if not records:
        return empty_note(figure, "No trial has finished with a finite value yet.")
    values = [record.values[objective] for record in records]
    _whole_numbers(figure, records[-1].number)
    figure.add_scatter(
        **trial_points(study, records, [record.number for record in records], values),
        name="trial",
        marker={"color": COMPLETE, "size": 7, "opacity": 0.85},
        error_y=_error_bars([record.value_errors[objective] for record in records]),
    )
    feasible = [record for record in records if record.feasible]
    losses = accumulate((sign * record.values[objective] for record in feasible), min)
    numbers = [record.number for record in feasible]
    best = [sign * loss for loss in losses]
    if numbers and numbers[-1] != records[-1].number:
        numbers.append(records[-1].number)
        best.append(best[-1])
    figure.add_scatter(
        x=numbers,
        y=best,
        name="best so far",
        mode="lines",
        line={"color": BEST, "width": 2.5, "shape": "hv"},
        hoverinfo="skip",
    )
    return figure


def _error_bars(errors: Sequence[float | None]) -> dict[str, Any] | None:
    """One standard error up and down, where it is known and points are few enough to see it."""
    if len(errors) > _MAX_DOTTED or not any(errors):
        return None
    bars = [error or 0.0 for error in errors]
    return {"array": bars, "color": FAINT, "thickness": 1, "width": 0}


def plot_importances(study: optuna.Study) -> go.Figure:
    """Plot how much each parameter matters, by Optuna's default evaluator (PED-ANOVA).

    Args:
        study: The study, with any number of objectives.
    """
    figure = new_figure("Parameter importances", "Share of the importance", "", legend=False)
    finished = sum(record.finished for record in read_records(study))
    if finished < _MIN_TRIALS_FOR_IMPORTANCES:
        return empty_note(
            figure,
            f"Importances need {_MIN_TRIALS_FOR_IMPORTANCES} finished trials; "
            f"there {'is' if finished == 1 else 'are'} {finished}.",
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*importances will be equal", UserWarning)
        try:
            importances = optuna.importance.get_param_importances(study)
        except UserWarning:
            return empty_note(figure, "The values are too alike to tell which parameters matter.")
    if not importances:
        return empty_note(figure, "The trials have no parameters.")
    shown = list(importances.items())[:_MAX_BARS][::-1]
    if len(shown) < len(importances):
        figure.update_xaxes(
            title_text=f"Share of the importance (the first {len(shown)} of "
            f"{len(importances)} parameters)"
        )
    shares = [share for _, share in shown]
    figure.add_bar(
        x=shares,
        y=list(range(len(shown))),  # not the names: they may be equal once they are cut
        orientation="h",
        marker={"color": COMPLETE},
        text=[f"{share:.0%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{plain(name, 200)}: {share:.3f}" for name, share in shown],
        hoverinfo="text",
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.15 * max(shares)])
    figure.update_yaxes(
        tickvals=list(range(len(shown))), ticktext=[plain(name, 28) for name, _ in shown]
    )
    return figure


def plot_learning_curves(study: optuna.Study, *, step: str = "epoch") -> go.Figure:
    """Plot the values of all trials after each epoch, the best ones in front, pruned ones faint.

    Epochs are counted from 1: a value that was reported at step 0 is that after the first.

    Of a very large study evenly spaced trials are drawn, and the axis says how many.

    Args:
        study: The study. With several objectives, curves are those that trials keep in the user
            attribute `learning_curve`.
        step: What trials report after.
    """
    name = objective_names(study)[0] if len(study.directions) == 1 else "reported value"
    figure = new_figure("Learning curves", axis_name(step), axis_name(name))
    everything = read_records(study)
    records = [record for record in everything if record.curve]
    if not records:
        return empty_note(figure, "No trial has reported a value yet.")
    best = {t.number for t in best_trials(study.get_trials(deepcopy=False), study.directions)}
    stride = -(-sum(len(record.curve) for record in records) // _MAX_POINTS)
    drawn = [r for i, r in enumerate(records) if i % stride == 0 or r.number in best]
    if len(drawn) < len(records):
        drawn_of = f"{len(drawn)} of {len(records)} curves drawn"
        figure.update_xaxes(title_text=f"{axis_name(step)} ({drawn_of})")
    groups: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in drawn:
        groups["best" if record.number in best else record.state_name].append(record)
    _whole_numbers(figure, max(record.curve[-1][0] for record in drawn) + 1)
    for group, line in _CURVE_LINES.items():
        if group in groups:
            crowded = len(groups[group]) > _MAX_DOTTED
            figure.add_scatter(
                **_joined_curves(groups[group], step),
                mode="lines" if crowded else "lines+markers",
                name="on the front" if group == "best" and len(study.directions) > 1 else group,
                line={**line, "width": 0.6} if crowded else line,
                marker={"size": 5 if group == "best" else 3},
            )
    return figure


_CURVE_LINES: Mapping[str, Mapping[str, Any]] = {
    TrialState.PRUNED.name.lower(): {"color": FAINT, "width": 1},
    TrialState.FAIL.name.lower(): {"color": FAINT, "width": 1, "dash": "dot"},
    INTERRUPTED: {"color": FAINT, "width": 1, "dash": "dot"},
    TrialState.COMPLETE.name.lower(): {"color": "rgba(97,151,211,0.6)", "width": 1.25},
    TrialState.RUNNING.name.lower(): {"color": COMPLETE, "width": 1.5, "dash": "dot"},
    "best": {"color": BEST, "width": 3},
}


def _joined_curves(records: Sequence[TrialRecord], step: str) -> dict[str, Any]:
    """The arguments of one scatter plot with many lines: plotly is slow with many plots."""
    x: list[int | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for record in records:
        for epoch, value in record.curve:
            x.append(epoch + 1)
            y.append(value)
            texts.append(f"<b>Trial {record.number}</b><br>{step} {epoch + 1}: {value:.4g}")
        x.append(None)
        y.append(None)
        texts.append("")
    return {
        "x": x,
        "y": y,
        "hovertext": texts,
        "hoverinfo": "text",
        "connectgaps": False,
    }


def _whole_numbers(figure: go.Figure, last: int) -> None:
    """Mark whole numbers only: with few of them plotly would put some between."""
    if last <= _MAX_TICKS:
        figure.update_xaxes(dtick=1)
