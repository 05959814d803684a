"""The figure of a comparison of samplers: regret against trainings, with bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas.visualization.formats import format_value
from optuna_nas.visualization.regret_curves import (
    BANDS,
    RegretCurve,
    Statistic,
    regret_curves,
    value_range,
)
from optuna_nas.visualization.style import new_figure, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from optuna_nas.compare import Comparison

__all__ = ["plot_regret"]


def plot_regret(
    comparison: Comparison, *, statistic: Statistic = "mean", log: bool = False
) -> go.Figure:
    """Plot the regret of each sampler after each training.

    Args:
        comparison: The comparison.
        statistic: `"mean"`, with the 95 % confidence interval, or `"median"`, with the quartiles.
        log: Whether regrets are on a logarithmic axis.

    Raises:
        ValueError: The statistic is unknown.
    """
    curves = regret_curves(comparison, statistic)
    low, high = value_range(curves, log=log)
    figure = new_figure(
        f"{plain(comparison.name)}: regret of {plain(comparison.metric)}",
        "Trainings",
        f"Regret ({BANDS[statistic]})" + (f", cut at {low:.2g}" if log else ""),
    )
    for curve in curves:
        _draw(figure, curve, low if log else 0.0)
    if log:
        figure.update_yaxes(type="log", range=[math.log10(low), math.log10(high)], dtick="D2")
    else:
        figure.update_yaxes(range=[low, high])
    return figure


def _draw(figure: go.Figure, curve: RegretCurve, floor: float) -> None:
    trainings = list(range(1, len(curve.line) + 1))
    name = plain(curve.sampler, 40)
    red, green, blue = (int(curve.colour[i : i + 2], 16) for i in (1, 3, 5))
    edge = np.concatenate([curve.high, curve.low[::-1]])
    figure.add_scatter(
        x=trainings + trainings[::-1],
        y=np.maximum(edge, floor).tolist(),
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.18)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
    )
    figure.add_scatter(
        x=trainings,
        y=np.maximum(curve.line, floor).tolist(),
        mode="lines",
        name=name,
        line={"color": curve.colour, "width": 2.5},
        legendgroup=name,
        hovertext=[
            f"<b>{name}</b>, {curve.seeds} seeds<br>after {n}: {format_value(float(value))} "
            f"({format_value(float(low))} to {format_value(float(high))})"
            for n, value, low, high in zip(
                trainings, curve.line, curve.low, curve.high, strict=True
            )
        ],
        hoverinfo="text",
    )
