"""How our plotly figures look, and text that is safe in them.

Figures have no background and a grey that reads on white and on black, so that one figure serves
a light and a dark page. plotly reads a few HTML tags in titles, labels and hover texts; names that
come from a study pass :func:`plain`, which leaves them no markup.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from optuna_nas._text import one_line
from optuna_nas.visualization.formats import (
    format_count,
    format_duration,
    format_measured,
)
from optuna_nas.visualization.records import objective_names

if TYPE_CHECKING:
    import optuna

    from optuna_nas.visualization.records import TrialRecord

__all__ = [
    "BEST",
    "COMPLETE",
    "FAINT",
    "axis_name",
    "describe",
    "empty_note",
    "new_figure",
    "plain",
    "trial_points",
]

BEST = "#e07b39"
COMPLETE = "#6197d3"
FAINT = "rgba(132,142,156,0.38)"
_LINE = "rgba(132,142,156,0.22)"

_GREY = "#7d8896"
_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def plain(text: object, length: int = 80) -> str:
    """Return text that plotly shows as it is, cut to `length` characters."""
    # plotly knows no &quot;, and needs none.
    return html.escape(one_line(text, length), quote=False)


def new_figure(title: str, x_title: str, y_title: str, *, legend: bool = True) -> go.Figure:
    """Return an empty figure; the titles must be safe already."""
    axis = {
        "gridcolor": _LINE,
        "linecolor": _LINE,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "title": {"standoff": 10, "font": {"size": 13}},
    }
    figure = go.Figure()
    figure.update_layout(
        template="none",
        title={"text": title, "x": 0, "xref": "paper", "font": {"size": 16}},
        font={"family": _FONT, "size": 13, "color": _GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        hoverlabel={"align": "left", "font": {"family": _FONT, "size": 12}},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        margin={"l": 56, "r": 16, "t": 72, "b": 48},
        xaxis=axis,
        yaxis=axis,
    )
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return figure


def empty_note(figure: go.Figure, note: str) -> go.Figure:
    """Say in the middle of a figure why there is nothing to see."""
    figure.add_annotation(
        text=note, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14}
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def describe(record: TrialRecord, names: Iterable[str]) -> str:
    """Return the hover text of a trial.

    Args:
        record: The trial.
        names: The names of the objectives, as they are in the study.
    """
    lines = [f"<b>Trial {record.number}</b>"]
    lines += [
        f"{plain(name, 40)}: {format_measured(value, error)}"
        for name, value, error in zip(names, record.values, record.value_errors, strict=False)
    ]
    facts = {
        record.test_name: record.test_score
        and format_measured(record.test_score, record.test_error),
        "parameters": record.parameters and format_count(record.parameters),
        "FLOPs": record.flops and format_count(record.flops),
        "training": record.seconds and format_duration(record.seconds),
    }
    lines += [f"{plain(name, 40)}: {text}" for name, text in facts.items() if text]
    wrapped = textwrap.wrap(record.architecture, 56, break_on_hyphens=False)[:5]
    return "<br>".join(lines + [plain(line) for line in wrapped])


def trial_points(
    study: optuna.Study, records: Sequence[TrialRecord], x: Sequence[float], y: Sequence[float]
) -> dict[str, Any]:
    """Return the arguments of a scatter plot with one point for each trial."""
    names = objective_names(study)
    return {
        "x": list(x),
        "y": list(y),
        "mode": "markers",
        "hovertext": [describe(record, names) for record in records],
        "hoverinfo": "text",
    }


def axis_name(name: str) -> str:
    """Return the name of an objective as the title of an axis."""
    return plain(name[:1].upper() + name[1:], 40)
