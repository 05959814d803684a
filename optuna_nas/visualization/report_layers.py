"""What a report shows of a search for the layers that a pretrained model needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas._ranking import direction_signs
from optuna_nas.spaces import LayerDropSpace
from optuna_nas.visualization.records import (
    TrialRecord,
    read_records,
    stored_space,
)
from optuna_nas.visualization.report_parts import ReportParts
from optuna_nas.visualization.style import BEST, FAINT, empty_note, new_figure

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

__all__ = ["LAYERS", "plot_kept_layers", "plot_layer_map"]

_BEST_SHARE = 0.25
_MIN_TRIALS = 4
_MOST_LABELS = 40


def plot_kept_layers(study: optuna.Study) -> go.Figure:
    """Plot how often each layer is kept, by all trials and by the best quarter of them.

    Best is by the study's first objective.

    Args:
        study: A study of a `LayerDropSpace`.
    """
    figure = new_figure("Layers that are kept", "Layer", "Share of trials")
    space, problem = stored_space(study)
    if not isinstance(space, LayerDropSpace):
        return empty_note(figure, problem or "The study does not search for layers.")
    ranked, masks = _ranked(study, space)
    if len(ranked) < _MIN_TRIALS:
        return empty_note(
            figure, f"Shares need {_MIN_TRIALS} finished trials; there are {len(ranked)}."
        )
    best = math.ceil(_BEST_SHARE * len(masks))
    layers = list(range(space.num_layers))
    for name, part, colour in (
        (f"all {len(masks)} trials", masks, FAINT),
        (f"the best {best}", masks[:best], BEST),
    ):
        shares = part.mean(axis=0).tolist()
        figure.add_bar(x=layers, y=shares, name=name, marker={"color": colour})
    figure.update_xaxes(dtick=1 if space.num_layers <= 24 else None)
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def plot_layer_map(study: optuna.Study) -> go.Figure:
    """Plot the layers that each finished trial keeps, coloured by its value, the best on top.

    Best is by the study's first objective.

    Args:
        study: A study of a `LayerDropSpace`.
    """
    figure = new_figure("Layers of every trial", "Layer", "Trial, the best on top")
    space, problem = stored_space(study)
    if not isinstance(space, LayerDropSpace):
        return empty_note(figure, problem or "The study does not search for layers.")
    ranked, masks = _ranked(study, space)
    if not ranked:
        return empty_note(figure, "No trial is finished yet.")
    values = np.array([record.values[0] for record in ranked])
    figure.add_heatmap(
        x=list(range(space.num_layers)),
        y=[str(record.number) for record in ranked],
        z=np.where(masks > 0, values[:, None], np.nan).tolist(),
        colorscale=[[0, FAINT], [1, BEST]],
        reversescale=direction_signs(study.directions)[0] > 0,  # values of which less is better
        hovertemplate="trial %{y}, layer %{x}: %{z:.4g}<extra></extra>",
        xgap=2,
        ygap=1,
    )
    figure.update_xaxes(dtick=1 if space.num_layers <= 24 else None)
    figure.update_yaxes(
        type="category", autorange="reversed", showticklabels=len(ranked) <= _MOST_LABELS
    )
    return figure


def _ranked(study: optuna.Study, space: LayerDropSpace) -> tuple[list[TrialRecord], np.ndarray]:
    """The finished feasible trials, the best first, and their masks `n x L`."""
    trials = study.get_trials(deepcopy=False)
    sign = direction_signs(study.directions)[0]
    ranked, masks = [], []
    finished = [record for record in read_records(study) if record.finished and record.feasible]
    for record in sorted(finished, key=lambda record: (sign * record.values[0], record.number)):
        architecture = space.read(trials[record.number].params)
        if architecture is not None:
            ranked.append(record)
            masks.append(space.mask(architecture))
    return ranked, np.array(masks, dtype=float)


def _figures(study: optuna.Study) -> Sequence[go.Figure]:
    return plot_kept_layers(study), plot_layer_map(study)


LAYERS = ReportParts(
    gallery="The best choices of layers",
    front="Choices of layers on the Pareto front",
    attributes={
        "kept_layers": "Layers that are kept",
        "validation_accuracy": "Validation accuracy",
        "latency": "Milliseconds for one text",
        "speedup": "Times as fast as the full model",
        "full_accuracy": "Validation accuracy of the full model",
    },
    figures=_figures,
    step="evaluation",
)
