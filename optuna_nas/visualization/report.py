"""A study as one HTML page that works offline and can be mailed.

1. Read the trials (:mod:`optuna_nas.visualization.records`), draw the figures and the best cells.
2. Fill the template `report.html`. It escapes everything; figures travel as JSON without `<`, `>`
   or `&`, so nothing in a study can end the script element that holds them.
3. Name the two scripts of the page, plotly and its own, by their hashes in a content security
   policy: no other script runs, and nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import optuna
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from optuna.artifacts import get_all_artifact_meta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study import StudyDirection
from optuna.trial import TrialState
from plotly.offline import get_plotlyjs

from optuna_nas import _optuna
from optuna_nas._checks import user_path
from optuna_nas._ranking import direction_signs
from optuna_nas._text import printable
from optuna_nas._version import __version__
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.artifacts.atomic import write_output
from optuna_nas.errors import UserError
from optuna_nas.visualization.certainty import level_words, measured_words
from optuna_nas.visualization.columns import trial_columns
from optuna_nas.visualization.description import describe_search, describe_space
from optuna_nas.visualization.figures import plot_history, plot_importances, plot_learning_curves
from optuna_nas.visualization.formats import (
    MISSING,
    format_count,
    format_duration,
    format_measured,
    format_value,
)
from optuna_nas.visualization.path_importance import plot_path_importance
from optuna_nas.visualization.prediction_figures import plot_predictions
from optuna_nas.visualization.records import (
    TrialRecord,
    objective_names,
    ranked_records,
    read_records,
    stored_space,
)
from optuna_nas.visualization.report_parts import CELLS, ReportParts, attribute_texts
from optuna_nas.visualization.style import empty_note, new_figure
from optuna_nas.visualization.tradeoffs import Size, plot_accuracy_size, plot_pareto_front

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from optuna_nas._accuracy import Examples

__all__ = ["write_report"]

_MAX_CELLS = 12
_MAX_FRONTS = 3
_ENOUGH_TO_LEARN = 20
"""From so many trials on it is shown what a predictor learns of them."""

_BY_CHANCE = 2.0
"""Standard errors of a rank correlation, `1 / sqrt(n - 1)`, that chance rarely reaches."""

_DIRECTIONS = {
    StudyDirection.MAXIMIZE: "maximise",
    StudyDirection.MINIMIZE: "minimise",
    StudyDirection.NOT_SET: "",
}


def write_report(
    study: optuna.Study,
    path: Path | str,
    *,
    title: str | None = None,
    parts: ReportParts = CELLS,
    artifacts: str | Path | ArtifactPlace | None = None,
) -> Path:
    """Write a report of a study as one HTML file without external references.

    Args:
        study: The study, in any state: without trials, with failed ones, with several objectives.
        path: The file; it is replaced in one step if it exists. A link, a device or a pipe stays
            one, and is written through.
        title: The heading; None is the study's name.
        parts: How the trials' architectures are drawn, and what else is shown of them.
        artifacts: Where the study's artifacts are; None, or what is not there, shows none of the
            pictures that trials have published.

    Returns:
        The path, absolute.

    Raises:
        UserError: `path` is a folder.
        ValueError: `artifacts` is a file or no address.
        OSError: The file cannot be written.
    """
    target = user_path(path).absolute()
    if target.is_dir():
        raise UserError(f"`path` is {str(path)!r}, which is a folder; needed is a file name.")
    place = None if artifacts is None else open_artifacts(artifacts)
    page = _render(study, study.study_name if title is None else title, parts, place)
    write_output(target, page.encode("utf-8", "replace"))
    return target


def _render(
    study: optuna.Study, title: str, parts: ReportParts, place: ArtifactPlace | None
) -> str:
    records = read_records(study)
    ranked = ranked_records(study, records)
    best = ranked if len(study.directions) > 1 else ranked[:1]
    template = _template()
    plotly_js = Markup(get_plotlyjs())
    page_js = Markup("".join(template.blocks["script"](template.new_context())))
    pictures = _pictures(study, ranked, parts, _MAX_CELLS)
    drawn = [drawing for record, drawing in pictures if record in best]
    return template.render(
        title=title,
        study_name=study.study_name,
        written=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        versions=f"optuna-nas {__version__} and Optuna {optuna.__version__}",
        policy=_policy(plotly_js, page_js),
        plotly_js=plotly_js,
        single=len(study.directions) == 1,
        names=objective_names(study),
        directions=[_DIRECTIONS[direction] for direction in study.directions],
        counts=Counter(record.state_name for record in records),
        wall_time=_wall_time(study),
        training_time=sum(r.seconds or 0.0 for r in records if r.continued_by is None),
        best=best,
        best_tiles=_tiles(best[0]) if best else [],
        extremes=_extremes(study, best),
        best_numbers={record.number for record in best},
        best_facts=_facts(study, best[0], parts, with_params=not drawn) if best else {},
        level=level_words(best[0], records) if best and len(study.directions) == 1 else "",
        drawn=drawn,
        published=_published(study, best[0], parts, place) if best and place else [],
        gallery=parts.gallery if len(study.directions) == 1 else parts.front,
        pictures=pictures,
        figures=[
            _figure(plot) for plot in (*_plots(study, records, parts), *parts.figures(study))
        ],
        records=records,
        columns=trial_columns(study, records, parts.step),
        space=describe_space(study),
        search=describe_search(study),
    )


def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_controls,
    )
    environment.filters.update(
        value=format_value,
        measured=format_measured,
        count=format_count,
        duration=format_duration,
    )
    source = resources.files("optuna_nas.visualization").joinpath("report.html")
    return environment.from_string(source.read_text(encoding="utf-8"))


def _without_controls(value: Any) -> Any:
    """What the template shows of a study; markup is ours, and was cleaned where it was made."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def _policy(*scripts: str) -> str:
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _wall_time(study: optuna.Study) -> float | None:
    """Seconds from the first start of a trial to the last end of one."""
    trials = study.get_trials(deepcopy=False)
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return (max(ends) - min(starts)).total_seconds() if starts and ends else None


def _pictures(
    study: optuna.Study, records: Sequence[TrialRecord], parts: ReportParts, limit: int
) -> list[tuple[TrialRecord, Markup]]:
    """Draw the first architectures that differ in what they compute."""
    space, _ = stored_space(study)
    trials = study.get_trials(deepcopy=False)
    pictures: dict[str, tuple[TrialRecord, Markup]] = {}
    for record in records:
        for drawing in parts.draw(trials[record.number], space):
            if drawing.key not in pictures:
                pictures[drawing.key] = record, Markup(drawing.svg())
        if len(pictures) >= limit:
            break
    return list(pictures.values())


def _published(
    study: optuna.Study, record: TrialRecord, parts: ReportParts, place: ArtifactPlace
) -> list[tuple[str, str]]:
    """The pictures that a trial has published, as headings and addresses that hold them.

    They are shown as images, within which a browser runs nothing and loads nothing.
    """
    trial = study.get_trials(deepcopy=False)[record.number]
    ids = {
        meta.filename: meta.artifact_id
        for meta in get_all_artifact_meta(trial, storage=_optuna.storage(study))
    }
    found = []
    for name, heading in parts.published.items():
        with suppress(LookupError, ArtifactNotFound, OSError, ValueError):
            with place.store.open_reader(ids[name]) as file:
                content = base64.b64encode(file.read()).decode()
            found.append((heading, f"data:image/svg+xml;base64,{content}"))
    return found


def _tiles(record: TrialRecord) -> list[tuple[str, str]]:
    tiles = [
        (
            format_measured(record.test_score, record.test_error),
            f"its {record.test_name}{_on(record.test_examples)}",
        ),
        (format_count(record.parameters), "its parameters"),
        (format_count(record.flops), "its FLOPs"),
    ]
    return [(text, name) for text, name in tiles if text != MISSING]


def _facts(
    study: optuna.Study, record: TrialRecord, parts: ReportParts, *, with_params: bool
) -> dict[str, str]:
    """What is known of a trial, without what does not apply to it."""
    trial = study.get_trials(deepcopy=False)[record.number]
    facts = {
        "Trial": str(record.number),
        **{
            name: measured_words(value, error, record.validation_examples)
            for name, value, error in zip(
                objective_names(study), record.values, record.value_errors, strict=True
            )
        },
        f"T{record.test_name[1:]}": measured_words(
            record.test_score, record.test_error, record.test_examples
        ),
        "Parameters": "" if record.parameters is None else f"{record.parameters:,}",
        "FLOPs": "" if record.flops is None else f"{record.flops:,}",
        "Training": format_duration(record.seconds),
        f"{parts.step.capitalize()}s": str(record.epochs or ""),
        **attribute_texts(trial, parts.attributes),
    }
    if with_params:
        facts |= {name: str(value) for name, value in trial.params.items()}
    return {name: text for name, text in facts.items() if text not in ("", MISSING)}


def _on(examples: Examples | None) -> str:
    return "" if examples is None else f" on {examples}"


def _extremes(study: optuna.Study, front: Sequence[TrialRecord]) -> list[float]:
    """The best value of each objective; it is on the front."""
    return [
        sign * min(sign * record.values[i] for record in front)
        for i, sign in enumerate(direction_signs(study.directions))
        if front
    ]


def _plots(
    study: optuna.Study, records: Sequence[TrialRecord], parts: ReportParts
) -> list[go.Figure]:
    """The figures of a study; those that have nothing to show say why."""
    curves = plot_learning_curves(study, step=parts.step)
    if sum(record.finished for record in records) == 1:
        return [curves]  # of one trial nothing else is a chart
    if len(study.directions) == 1:
        main = [plot_history(study)]
    else:
        others = range(1, min(len(study.directions), _MAX_FRONTS + 1))
        main = [plot_pareto_front(study, objectives=(0, other)) for other in others]
    sizes: tuple[Size, ...] = get_args(Size)
    known = (s for s in sizes if any(r.finished and getattr(r, s) is not None for r in records))
    return [
        *main,
        curves,
        plot_accuracy_size(study, size=next(known, sizes[0])),
        *_learnt(study, records),
    ]


def _learnt(study: optuna.Study, records: Sequence[TrialRecord]) -> list[go.Figure]:
    """What the study tells of architectures, unless a predictor knows no better than chance."""
    if len(study.directions) > 1:
        return [plot_importances(study)]
    known = sum(record.state in (TrialState.COMPLETE, TrialState.PRUNED) for record in records)
    if known < _ENOUGH_TO_LEARN:
        note = f"What matters is shown from {_ENOUGH_TO_LEARN} finished trials on."
        return [empty_note(new_figure("What can be predicted", "", ""), note)]
    predictions = plot_predictions(study)
    if not predictions.data:
        return [predictions]
    rank, number = predictions.layout.meta["spearman"], predictions.layout.meta["trials"]
    if rank > _BY_CHANCE / math.sqrt(number - 1):
        return [plot_importances(study), predictions, plot_path_importance(study)]
    note = (
        "Predictions of trials that were held out rank them no better than chance (rank "
        f"correlation {rank:.2f}): which architectures are better, these trials do not tell yet."
    )
    return [empty_note(new_figure("What can be predicted", "", ""), note)]


def _figure(figure: go.Figure) -> dict[str, Any]:
    """The heading of a figure, and its JSON, or a sentence if there is nothing to see."""
    heading = figure.layout.title.text
    if not figure.data:
        return {"heading": heading, "json": None, "note": figure.layout.annotations[0].text}
    figure.update_layout(title=None, margin={"l": 8, "r": 8, "t": 30, "b": 8})
    text = figure.to_json(engine="json")
    for character in "<>&":  # in JSON they only occur within texts
        text = text.replace(character, f"\\u{ord(character):04x}")
    return {"heading": heading, "json": Markup(text), "note": None}
