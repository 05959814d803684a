"""What a report shows of a search for the layers that a pretrained model needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas.spaces import LayerDropSpace
from optuna_nas.visualization.records import direction_signs, read_records, stored_space
from optuna_nas.visualization.report_parts import ReportParts
from optuna_nas.visualization.style import BEST, FAINT, empty_note, new_figure

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

__all__ = ["LAYERS", "plot_kept_layers"]

_BEST_SHARE = 0.25
_MIN_TRIALS = 4


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
    trials = study.get_trials(deepcopy=False)
    finished = [record for record in read_records(study) if record.finished and record.feasible]
    if len(finished) < _MIN_TRIALS:
        return empty_note(
            figure, f"Shares need {_MIN_TRIALS} finished trials; there are {len(finished)}."
        )
    sign = direction_signs(study)[0]
    ranked = sorted(finished, key=lambda record: (sign * record.values[0], record.number))
    architectures = [space.read(trials[record.number].params) for record in ranked]
    masks = np.array([space.mask(a) for a in architectures if a is not None], dtype=float)  # n x L
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


def _figures(study: optuna.Study) -> Sequence[go.Figure]:
    return (plot_kept_layers(study),)


LAYERS = ReportParts(
    gallery="The best choices of layers",
    front="Choices of layers on the Pareto front",
    attributes={
        "kept_layers": "Layers that are kept",
        "validation_accuracy": "Validation accuracy",
        "latency": "Milliseconds for one text",
        "full_accuracy": "Validation accuracy of the full model",
    },
    figures=_figures,
)
