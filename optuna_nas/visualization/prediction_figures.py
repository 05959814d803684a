"""Figures of how good a predictor is on a study: predicted against observed, and calibration.

Both cross-validate: the architectures of the study are split into folds at random, and each fold
is predicted by a predictor that learnt from the others.

Predictors learn the logarithm of the regret unless they are told otherwise, so axes of values have
this scale: it shows differences among good architectures, which are what a search has to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optuna_nas.surrogates import Encoding, Predictor, TargetTransform
from optuna_nas.surrogates.validation import LEVELS, Calibration, calibration, cross_validate
from optuna_nas.visualization.evidence import Evidence, Learner, read_evidence
from optuna_nas.visualization.formats import format_value
from optuna_nas.visualization.records import objective_name
from optuna_nas.visualization.regret_curves import COLOURS
from optuna_nas.visualization.style import BEST, COMPLETE, axis_name, empty_note, new_figure, plain

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

    from optuna_nas.spaces import SearchSpace

__all__ = ["plot_calibration", "plot_predictions"]

_MOST_TICKS = 8
_GREY = "#7d8896"


def plot_predictions(
    study: optuna.Study,
    *,
    objective: int = 0,
    predictor: str | Predictor = "mlp",
    encoding: str | Encoding | None = None,
    space: SearchSpace | None = None,
    targets: str | TargetTransform = "log_regret",
    folds: int = 10,
    seed: int = 0,
) -> go.Figure:
    """Plot what a predictor says of each trial that it has not seen against what came true.

    Bars are one standard deviation of the members to both sides. The figure's `layout.meta` has
    the rank correlation, `spearman`, and the number of `trials`.

    Args:
        study: The study.
        objective: Which of its objectives.
        predictor: A predictor, or its name as for :class:`optuna_nas.BananasSampler`.
        encoding: What it learns from; None is its own choice.
        space: The space; None is the one that is stored on the study, or its parameters.
        targets: What the predictor learns: `"log_regret"`, `"identity"` or a function.
        folds: How many times the predictor is fitted.
        seed: Seed of the folds and fits.

    Raises:
        ValueError: There is no such objective, or a name or number is wrong.
    """
    learner = Learner.named(predictor, encoding)
    evidence = read_evidence(study, objective, space, targets)
    name = axis_name(objective_name(study, objective))
    figure = new_figure("Predicted and observed", f"{name}, observed", f"{name}, predicted")
    if isinstance(evidence, str):
        return empty_note(figure, evidence)
    members = _held_out_predictions(evidence, learner, folds, seed)
    measured = calibration(members, evidence.targets)
    figure.update_layout(
        title_text="Predicted and observed: Spearman's rank correlation "
        f"{measured.spearman:.2f}, R² {measured.r2:.2f}",
        meta={"spearman": measured.spearman, "trials": len(evidence.observations)},
    )
    # Lower is better in targets; on the axes the study's own direction counts.
    observed = evidence.sign * evidence.targets
    predicted, spread = evidence.sign * members.mean(axis=0), members.std(axis=0)
    low, high = _range(observed, predicted)
    _add_diagonal(figure, low, high)
    pruned = np.array([o.pruned for o in evidence.observations])
    inverse = _Scale(evidence)
    for label, group, colour in (
        ("complete", ~pruned, COMPLETE),
        ("pruned (its value is an estimate)", pruned, BEST),
    ):
        if not group.any():
            continue
        figure.add_scatter(
            x=observed[group].tolist(),
            y=predicted[group].tolist(),
            error_y={"array": spread[group].tolist(), "width": 0, "thickness": 1, "color": colour},
            mode="markers",
            name=label,
            marker={"color": colour, "size": 6, "opacity": 0.85},
            hovertext=[
                f"<b>Trial {evidence.observations[i].number}</b><br>"
                f"observed {format_value(evidence.values[i])}<br>"
                f"predicted {inverse.text(predicted[i])}"
                f"<br>{plain(evidence.observations[i].architecture, 60)}"
                for i in np.flatnonzero(group).tolist()
            ],
            hoverinfo="text",
        )
    figure.update_layout(showlegend=bool(pruned.any()))
    ticks = inverse.ticks()
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(range=[low, high], tickvals=list(ticks), ticktext=list(ticks.values()))
    return figure


def plot_calibration(
    study: optuna.Study,
    *,
    objective: int = 0,
    predictors: Sequence[str] | Mapping[str, str | Predictor] = ("mlp",),
    encoding: str | Encoding | None = None,
    space: SearchSpace | None = None,
    targets: str | TargetTransform = "log_regret",
    folds: int = 10,
    seed: int = 0,
) -> go.Figure:
    """Plot how many trials the predictive intervals hold against how many they should.

    Below the diagonal a predictor is too sure of itself, above it is too careful. The expected
    calibration error (ECE) is the mean distance to the diagonal. A perfect predictor would stay in
    the grey band at each level in 95 % of studies with as many trials.

    Args:
        study: The study.
        objective: Which of its objectives.
        predictors: Names as for :class:`optuna_nas.BananasSampler`, or predictors by label.
        encoding: What they learn from; None is the own choice of each.
        space: The space; None is the one that is stored on the study, or its parameters.
        targets: What the predictors learn: `"log_regret"`, `"identity"` or a function.
        folds: How many times a predictor is fitted.
        seed: Seed of the folds, equal for all predictors, and fits.

    Raises:
        ValueError: There is no such objective, or a name or number is wrong.
    """
    labelled = dict(predictors) if isinstance(predictors, Mapping) else {p: p for p in predictors}
    learners = {label: Learner.named(p, encoding) for label, p in labelled.items()}
    evidence = read_evidence(study, objective, space, targets)
    figure = new_figure(
        "Calibration", "Nominal coverage of the predictive intervals", "Observed coverage"
    )
    if isinstance(evidence, str):
        return empty_note(figure, evidence)
    _add_sampling_error(figure, len(evidence.targets))
    _add_diagonal(figure, 0, 1)
    for i, (label, learner) in enumerate(learners.items()):
        members = _held_out_predictions(evidence, learner, folds, seed)
        measured = calibration(members, evidence.targets)
        _draw_calibration(figure, label, measured, COLOURS[i % len(COLOURS)])
    for x, y, side in ((0.22, 0.9, "too careful"), (0.82, 0.1, "too sure")):
        figure.add_annotation(x=x, y=y, text=side, showarrow=False, font={"size": 14})
    # Several names with their numbers do not fit above the figure.
    figure.update_layout(
        legend={"orientation": "v", "x": 1.03, "y": 1, "yanchor": "top"}, margin_r=40
    )
    quarters = [0, 0.25, 0.5, 0.75, 1]
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(range=[0, 1], tickformat=".0%", tickvals=quarters)
    return figure


def _draw_calibration(figure: go.Figure, label: str, measured: Calibration, colour: str) -> None:
    name = plain(label, 40)
    figure.add_scatter(
        x=LEVELS,
        y=measured.observed,
        mode="lines+markers",
        name=f"{name}: ECE {measured.error:.2f}",
        line={"color": colour, "width": 2.5},
        marker={"size": 6},
        hovertext=[
            f"<b>{name}</b><br>the {level:.0%} intervals hold {inside:.0%} of the trials"
            for level, inside in zip(LEVELS, measured.observed, strict=True)
        ],
        hoverinfo="text",
    )


def _add_diagonal(figure: go.Figure, low: float, high: float) -> None:
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": _GREY, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )


def _add_sampling_error(figure: go.Figure, trials: int) -> None:
    """Show where shares of so many trials lie if the intervals are right."""
    levels = np.linspace(0, 1, 51)
    reach = 1.96 * np.sqrt(levels * (1 - levels) / trials)
    edge = np.concatenate([levels + reach, (levels - reach)[::-1]]).clip(0, 1)
    figure.add_scatter(
        x=[*levels, *levels[::-1]],
        y=edge.tolist(),
        mode="lines",
        fill="toself",
        fillcolor="rgba(132,142,156,0.16)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _held_out_predictions(
    evidence: Evidence, learner: Learner, folds: int, seed: int
) -> NDArray[np.float64]:
    learner = learner.prepared(evidence)
    features = evidence.encoded(learner.encoding)
    rng = np.random.default_rng(seed)
    return cross_validate(learner.predictor, features, evidence.targets, rng, folds=folds)


def _range(observed: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    low = float(min(observed.min(), predicted.min()))
    high = float(max(observed.max(), predicted.max()))
    margin = 0.04 * (high - low)
    return low - margin, high + margin


class _Scale:
    """Says which value of the study a place on the axes of targets stands for.

    Args:
        evidence: What was observed: values and their targets.
    """

    def __init__(self, evidence: Evidence) -> None:
        places = evidence.sign * evidence.targets
        order = np.argsort(places, kind="stable")
        self._places, self._values = places[order], evidence.values[order]

    def value(self, place: float) -> float:
        """The value at a place, within the range of what was observed."""
        return float(np.interp(place, self._places, self._values))

    def text(self, place: float) -> str:
        """The value at a place as text, or that it is beyond all that was observed."""
        if place > self._places[-1]:
            return f"above {format_value(float(self._values[-1]))}"
        if place < self._places[0]:
            return f"below {format_value(float(self._values[0]))}"
        return format_value(self.value(place))

    def ticks(self) -> dict[float, str]:
        """Short values at about equal distances, by their places."""
        wanted = np.linspace(self._places[0], self._places[-1], _MOST_TICKS)
        values = [self.value(place) for place in wanted]
        ticks: dict[float, str] = {}
        for value, gap in zip(values, np.gradient(values), strict=True):
            digits = max(0, 1 - int(np.floor(np.log10(abs(gap))))) if gap else 4
            rounded = round(value, digits)
            if rounded < self._values[0]:
                rounded += 10.0**-digits
            elif rounded > self._values[-1]:
                rounded -= 10.0**-digits
            if self._values[0] <= rounded <= self._values[-1]:
                place = float(np.interp(rounded, self._values, self._places))
                ticks[place] = f"{rounded:,.{digits}f}"
        return ticks
