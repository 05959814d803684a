"""Figures of what is traded for what: quality against size, and one objective against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from optuna_nas._ranking import direction_signs
from optuna_nas.visualization.records import objective_name, ranked_records, read_records
from optuna_nas.visualization.style import (
    BEST,
    COMPLETE,
    axis_name,
    empty_note,
    new_figure,
    trial_points,
)

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

__all__ = ["Size", "plot_accuracy_size", "plot_pareto_front"]

Size = Literal["parameters", "flops", "seconds"]

_SIZES: Mapping[str, str] = {
    "parameters": "Parameters",
    "flops": "FLOPs (multiply-accumulates of one image)",
    "seconds": "Training time in seconds",
}
_LOG_RATIO = 20


def plot_accuracy_size(
    study: optuna.Study, *, size: Size = "parameters", objective: int = 0
) -> go.Figure:
    """Plot the value of each finished trial against a size, and the front of the two.

    Args:
        study: The study, its trials with the user attribute of that name.
        size: What is on the horizontal axis; smaller is better.
        objective: Which of the study's objectives.

    Raises:
        ValueError: There is no such objective or size.
    """
    if size not in _SIZES:
        raise ValueError(f"`size` is {size!r}; allowed are {get_args(Size)}.")
    name = objective_name(study, objective)
    sign = direction_signs(study.directions)[objective]
    figure = new_figure("Quality and size", _SIZES[size], axis_name(name))
    records = [r for r in read_records(study) if r.finished and getattr(r, size) is not None]
    if not records:
        return empty_note(figure, f"No finished trial has the user attribute {size!r}.")
    sizes = [float(getattr(record, size)) for record in records]
    values = [record.values[objective] for record in records]
    figure.add_scatter(
        **trial_points(study, records, sizes, values),
        name="trial",
        marker={"color": COMPLETE, "size": 8, "opacity": 0.85},
    )
    feasible = [i for i, record in enumerate(records) if record.feasible]
    losses = [sign * values[i] for i in feasible]
    front = [feasible[i] for i in _front([sizes[i] for i in feasible], losses)]
    smallest = [records[i] for i in front], [sizes[i] for i in front], [values[i] for i in front]
    figure.add_scatter(
        **{**trial_points(study, *smallest), "mode": "lines+markers"},
        name="best for its size",
        marker={"color": BEST, "size": 10},
        line={"color": BEST, "width": 1.5, "shape": "hv"},
    )
    if min(sizes) > 0 and max(sizes) / min(sizes) > _LOG_RATIO:
        figure.update_xaxes(type="log", dtick="D2", tickformat="~s")
    return figure


def plot_pareto_front(study: optuna.Study, *, objectives: tuple[int, int] = (0, 1)) -> go.Figure:
    """Plot two objectives of the finished trials; the Pareto front of all objectives stands out.

    Args:
        study: A study with several objectives.
        objectives: Which two.

    Raises:
        ValueError: There is no such objective.
    """
    x, y = objectives
    names = [axis_name(objective_name(study, objective)) for objective in (x, y)]
    figure = new_figure("Pareto front", *names)
    records = [record for record in read_records(study) if record.finished]
    if not records:
        return empty_note(figure, "No trial has finished with a finite value yet.")
    front = ranked_records(study, records)
    for name, group, marker in (
        ("trial", records, {"color": COMPLETE, "size": 7, "opacity": 0.75}),
        ("on the front", front, {"color": BEST, "size": 10}),
    ):
        first, second = ([record.values[i] for record in group] for i in (x, y))
        figure.add_scatter(**trial_points(study, group, first, second), name=name, marker=marker)
    return figure


def _front(sizes: Sequence[float], losses: Sequence[float]) -> list[int]:
    """The positions of the points for which none is as small and better, by size."""
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i], losses[i]))
    front: list[int] = []
    for i in order:
        if not front or losses[i] < losses[front[-1]]:
            front.append(i)
    return front
