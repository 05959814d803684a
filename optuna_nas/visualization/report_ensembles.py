"""What a report shows of searches for ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from optuna.trial import TrialState

from optuna_nas.visualization.report_parts import ReportParts
from optuna_nas.visualization.style import BEST, FAINT, empty_note, new_figure

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

__all__ = ["ENSEMBLES", "plot_ensemble_gain"]


def plot_ensemble_gain(study: optuna.Study) -> go.Figure:
    """Plot the test accuracy of each trial's ensemble beside the mean of its members alone.

    Args:
        study: A study of `EnsembleSearch` or `EdgeNES`.
    """
    figure = new_figure("What averaging gains", "Trial", "Test accuracy")
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    every = {str(trial.number): trial.user_attrs.get("test_report") for trial in trials}
    reports = {number: report for number, report in every.items() if _is_report(report)}
    if not reports:
        return empty_note(figure, "No ensemble has been measured yet.")
    if len(reports) == 1:
        return empty_note(figure, _in_words(*reports.values()))
    for name, measure, colour in (
        ("its members alone, on average", "mean_member_accuracy", FAINT),
        ("the ensemble", "accuracy", BEST),
    ):
        heights = [report[measure] for report in reports.values()]
        texts = [f"{height:.3f}" for height in heights]
        figure.add_bar(x=list(reports), y=heights, name=name, text=texts, marker={"color": colour})
    lowest = min(report["mean_member_accuracy"] for report in reports.values())
    figure.update_yaxes(range=[max(0.0, lowest - 0.1), 1.0], tickformat=".0%")
    figure.update_xaxes(type="category")
    return figure


def _in_words(report: Mapping[str, float]) -> str:
    ensemble, alone = report["accuracy"], report["mean_member_accuracy"]
    return f"Together {ensemble:.4f}, alone {alone:.4f} on average (test accuracy)."


def _is_report(value: object) -> TypeGuard[Mapping[str, float]]:
    names = ("accuracy", "mean_member_accuracy")
    return isinstance(value, Mapping) and all(_is_share(value.get(name)) for name in names)


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


def _figures(study: optuna.Study) -> Sequence[go.Figure]:
    return (plot_ensemble_gain(study),)


ENSEMBLES = ReportParts(
    gallery="The members of the best ensembles",
    attributes={
        "shared_edges": "Edges that the members share with the optimum",
        "search_seconds": "Seconds of searches",
        "training_seconds": "Seconds of trainings",
    },
    figures=_figures,
    published={"shared_edges.svg": "Edges shared with the optimum, by λ"},
)
