"""What came out: `best`, `report`, `export` and `dashboard`."""

from __future__ import annotations

import json
import webbrowser
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from optuna_nas._attributes import read_number, read_text
from optuna_nas._text import one_line
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.options import (
    DEFAULT_STORAGE,
    DEFAULT_STUDY,
    Space,
    Storage,
    Study,
    next_command,
)
from optuna_nas.cli.terminal import SafeConsole
from optuna_nas.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.visualization.records import TrialRecord
    from optuna_nas.visualization.report_parts import ReportParts

Output = Annotated[Path | None, typer.Option(help="What to write.")]
Trial = Annotated[int | None, typer.Option(min=0, help="A trial's number; the best if unset.")]


def best(
    study: Study = DEFAULT_STUDY, storage: Storage = DEFAULT_STORAGE, space: Space = None
) -> None:
    """Draw the best architecture found so far."""
    from optuna_nas._ranking import why_no_best
    from optuna_nas.cli.studies import load_study

    console = SafeConsole()
    with mendable():
        found = load_study(study, storage)
        know_space(space)
        parts = report_parts(found)
    if not show_best(console, found, parts):
        trials = found.get_trials(deepcopy=False)
        raise UserError(f"The study {study!r} {why_no_best(trials, found.directions)}.")
    _print_next(console, _following(found, storage))


def report(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    output: Output = None,
    space: Space = None,
) -> None:
    """Write one HTML file with history, importances, learning curves and architectures."""
    from optuna_nas.artifacts.atomic import is_stream
    from optuna_nas.artifacts.names import safe_name
    from optuna_nas.cli.studies import load_study
    from optuna_nas.visualization.report import write_report

    with mendable():
        found = load_study(study, storage)
        know_space(space)
        parts = report_parts(found)
        folder = artifacts_folder(found)
    with mendable(OSError):
        target = output or Path(f"{safe_name(study)}-report.html")
        path = write_report(found, target, parts=parts, artifacts=folder)
    console = SafeConsole(stderr=is_stream(path))
    console.print(f"Written: [bold]{escape(str(path))}[/] (open it in a browser)", soft_wrap=True)
    _print_next(console, _following(found, storage))


def export(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    trial: Trial = None,
    output: Output = None,
    format: Annotated[
        str, typer.Option(help="torch; or onnx, which adds a model.onnx that is checked.")
    ] = "torch",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing folder.")] = False,
    space: Space = None,
) -> None:
    """Write a trained network as a folder that loads without optuna-nas."""
    from optuna_nas._choices import choose
    from optuna_nas.artifacts.names import safe_name
    from optuna_nas.cli.config import Given, SearchConfig
    from optuna_nas.cli.objectives.goals import without_own_measures
    from optuna_nas.cli.same_data import check_data
    from optuna_nas.cli.studies import load_study, stored_config
    from optuna_nas.cli.trust import check_modules
    from optuna_nas.export.folder import check_folder

    console = SafeConsole()
    with mendable():
        onnx = choose("format", format, {"torch": False, "onnx": True})
        found = load_study(study, storage)
        stored = stored_config(found)
        given = Given(study, storage, sampler=stored.sampler, options={"space": space})
        config = SearchConfig.resolve(given, stored)
        config.check_same_values(stored)
        config = replace(config, options=without_own_measures(config.options))
        check_modules(config, given)
        chosen = _best_trial(found) if trial is None else _trial(found, trial)
        exporting = config.recipe.export
        if exporting is None:
            raise ValueError(
                f"The study {study!r} has searched cells, and trained no network of one. Train "
                f"them in another study: optuna-nas search --start-from {study} --study NAME."
            )
        target = output or Path(f"{safe_name(study)}-export")
        if not overwrite:
            check_folder(target, ours=(), overwrite=False)
    with console.status("Preparing the network ..."):
        with mendable():
            objective = config.make_objective()
            check_data(found, objective.data)
        with mendable(OSError):
            folder = exporting.write(
                objective, found, chosen, target, onnx=onnx, overwrite=overwrite
            )
    console.print(f"Written: [bold]{escape(str(folder))}[/]", soft_wrap=True)
    if onnx:
        from optuna_nas.export.onnx_file import OnnxReport

        described = json.loads((folder / exporting.description).read_text(encoding="utf-8"))
        console.print(str(OnnxReport(**described["onnx"])), soft_wrap=True, highlight=False)
    _print_next(console, exporting.use(folder))


def dashboard(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = False,
) -> None:
    """Show the studies of a storage, with pictures, in optuna-dashboard."""
    import optuna_dashboard

    from optuna_nas import _optuna
    from optuna_nas.artifacts import open_artifacts
    from optuna_nas.cli.studies import load_study
    from optuna_nas.cli.trust import is_here
    from optuna_nas.storages import open_storage, show_constraints

    with mendable():
        found = load_study(study, storage)
        artifacts = artifacts_folder(found)
        place = None if artifacts is None else open_artifacts(artifacts)
        if place is not None and is_here(place.address):
            place.make()
        opened = show_constraints(open_storage(storage))
    url = f"http://{host}:{port}/dashboard/studies/{_optuna.study_id(found)}"
    SafeConsole().print(f"Next: open [bold]{url}[/] in a browser; Ctrl-C stops.", soft_wrap=True)
    if browser:
        webbrowser.open(url)
    with mendable(OSError):  # another program may have the port
        store = place and place.store
        optuna_dashboard.run_server(opened, host=host, port=port, artifact_store=store)


def show_best(console: Console, study: optuna.Study, parts: ReportParts) -> bool:
    """Draw the best architecture and its figures, or list the Pareto front.

    Returns:
        False if there is none.
    """
    from optuna_nas._ranking import best_trials
    from optuna_nas.visualization.certainty import level_words
    from optuna_nas.visualization.records import read_records, stored_space

    trials = best_trials(study.get_trials(deepcopy=False), study.directions)
    if not trials:
        return False
    if len(study.directions) > 1:
        console.print()
        console.print(_front(study, trials))
        return True
    [trial] = trials
    space, _ = stored_space(study)
    drawn = parts.write(trial, space)
    if drawn is not None:
        console.print()
        console.print(drawn)
    console.print()
    records = read_records(study)
    record = records[trial.number]
    console.print(_facts(study, trial, record, parts))
    if level := level_words(record, records):
        console.print(level, highlight=False, soft_wrap=True)
    text = _architecture(study, trial)
    console.print(text, soft_wrap=True, markup=False, highlight=False)
    console.print()
    return True


_MOST_PARAMETERS = 40

_ATTRIBUTES = {
    "parameters": "{:,}",
    "flops": "{:,}",
    "seconds": "{:.1f}",
}


def _facts(
    study: optuna.Study, trial: FrozenTrial, record: TrialRecord, parts: ReportParts
) -> Table:
    from optuna_nas.visualization.certainty import measured_words
    from optuna_nas.visualization.columns import measure_text
    from optuna_nas.visualization.records import measure_headings, objective_names
    from optuna_nas.visualization.report_parts import attribute_texts

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("best trial", str(trial.number))
    value = measured_words(record.values[0], record.value_errors[0], record.validation_examples)
    table.add_row(Text(objective_names(study)[0]), value)
    if record.test_score is not None:
        test = measured_words(record.test_score, record.test_error, record.test_examples)
        table.add_row(Text(record.test_name), test)
    for name, form in _ATTRIBUTES.items():
        if (number := read_number(trial.user_attrs, name)) is not None:
            table.add_row(name.replace("_", " "), form.format(number))
    for name, heading in measure_headings(study).items():
        table.add_row(Text(one_line(heading, 60)), measure_text(record, name))
    for heading, text in attribute_texts(trial, parts.attributes).items():
        table.add_row(Text(heading.lower()), Text(text))
    if not _architecture(study, trial):
        for name, chosen in islice(trial.params.items(), _MOST_PARAMETERS):
            table.add_row(Text(one_line(name, 60)), Text(one_line(chosen, 120)))
    return table


def _front(study: optuna.Study, trials: Sequence[FrozenTrial]) -> Table:
    from optuna_nas.visualization.columns import measure_text
    from optuna_nas.visualization.formats import format_measured
    from optuna_nas.visualization.records import (
        measure_headings,
        objective_names,
        read_records,
    )

    measures = measure_headings(study)
    headings = [*objective_names(study), *measures.values()]
    names = [Column(Text(one_line(heading, 60))) for heading in headings]
    table = Table("trial", *names, "architecture", box=SIMPLE)
    records = read_records(study)
    for trial in trials:
        record = records[trial.number]
        values = map(format_measured, record.values, record.value_errors)
        more = [measure_text(record, name) for name in measures]
        table.add_row(str(trial.number), *values, *more, Text(_architecture(study, trial)))
    if examples := record.validation_examples:
        table.caption = f"± is one standard error, on {examples}."
    return table


def _architecture(study: optuna.Study, trial: FrozenTrial) -> str:
    """The architecture of a trial as text; empty if it has none."""
    from optuna_nas.visualization.records import stored_space

    space, _ = stored_space(study)
    architecture = None if space is None else space.read(trial.params)
    return str(architecture or read_text(trial.user_attrs, "architecture") or "")


def know_space(name: str | None) -> None:
    """Import the user's own class of spaces, so that what a study stores of it can be read.

    Raises:
        ValueError: It cannot be imported, or is no space.
    """
    from optuna_nas.cli.objectives.images import make_space

    if name is not None:
        make_space({"space": name})


def report_parts(study: optuna.Study) -> ReportParts:
    """How the trials of a study are shown: as its objective says, and else as cells.

    Raises:
        ValueError: The study's objective is not known here.
    """
    from optuna_nas.cli.studies import CONFIG_ATTRIBUTE, stored_config
    from optuna_nas.visualization.report_parts import CELLS

    if CONFIG_ATTRIBUTE not in study.user_attrs:
        return CELLS
    return stored_config(study).recipe.report_parts()


def artifacts_folder(study: optuna.Study) -> str | None:
    """Where the artifacts of a study are; None if it does not say, or there is no such folder.

    One within this folder may still be to be made.
    """
    from optuna_nas.artifacts.opening import is_bucket
    from optuna_nas.cli.studies import CONFIG_ATTRIBUTE, stored_config
    from optuna_nas.cli.trust import is_here

    if CONFIG_ATTRIBUTE not in study.user_attrs:
        return None
    artifacts = stored_config(study).artifacts
    with suppress(OSError, ValueError):  # what cannot be the name of a folder
        if is_bucket(artifacts) or is_here(artifacts) or Path(artifacts).is_dir():
            return artifacts
    return None


def _following(study: optuna.Study, storage: str) -> str:
    """What comes after looking at a study: to export a network, or to train what was found."""
    from optuna_nas.cli.origin import best_architectures
    from optuna_nas.cli.studies import CONFIG_ATTRIBUTE, stored_config
    from optuna_nas.visualization.records import stored_space

    name = study.study_name
    if CONFIG_ATTRIBUTE not in study.user_attrs or stored_config(study).recipe.export:
        return next_command("export", name, storage)
    found = len(best_architectures(study, stored_space(study)[0]))
    more = ("--start-from", name, "--trials", str(max(found, 1)))
    return next_command("search", f"{name}-trained", storage, *more)


def _best_trial(study: optuna.Study) -> FrozenTrial:
    from optuna_nas._ranking import best_trials, why_no_best

    trials = study.get_trials(deepcopy=False)
    best = best_trials(trials, study.directions)
    if not best:
        raise ValueError(
            f"The study {study.study_name!r} {why_no_best(trials, study.directions)}. Choose a "
            "trial with --trial."
        )
    if len(study.directions) > 1:
        raise ValueError(
            f"`study` is {study.study_name!r}, which has {len(study.directions)} objectives; "
            f"choose a trial with --trial, of the Pareto front: {[t.number for t in best]}."
        )
    return best[0]


def _print_next(console: Console, command: str) -> None:
    console.print(f"Next: [bold]{escape(command)}[/]", soft_wrap=True)


def _trial(study: optuna.Study, number: int) -> FrozenTrial:
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials):
        raise ValueError(f"`trial` is {number}; the study has trials 0 to {len(trials) - 1}.")
    return trials[number]
