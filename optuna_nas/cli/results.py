"""What came out: `best`, `report`, `export` and `dashboard`."""

from __future__ import annotations

import shlex
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from optuna_nas.cli.options import (
    DEFAULT_STORAGE,
    DEFAULT_STUDY,
    Storage,
    Study,
    next_command,
)

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.config import SearchConfig

Output = Annotated[Path | None, typer.Option(help="What to write.")]
Trial = Annotated[int | None, typer.Option(min=0, help="A trial's number; the best if unset.")]


def best(study: Study = DEFAULT_STUDY, storage: Storage = DEFAULT_STORAGE) -> None:
    """Draw the best architecture found so far."""
    console = Console()
    found = load_study(study, storage)
    if not show_best(console, found):
        raise ValueError(f"The study {study!r} has no complete trial yet.")
    _print_next(console, next_command("export", study, storage))


def report(
    study: Study = DEFAULT_STUDY, storage: Storage = DEFAULT_STORAGE, output: Output = None
) -> None:
    """Write one HTML file with history, importances, learning curves and cells."""
    from optuna_nas.trials.folder import safe_name
    from optuna_nas.visualization.report import write_report

    path = write_report(
        load_study(study, storage), output or Path(f"{safe_name(study)}-report.html")
    )
    console = Console()
    console.print(f"Written: [bold]{escape(str(path))}[/] (open it in a browser)", soft_wrap=True)
    _print_next(console, next_command("export", study, storage))


def export(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    trial: Trial = None,
    output: Output = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing folder.")] = False,
) -> None:
    """Write a trained network as a folder that loads without optuna-nas."""
    from optuna_nas.export import export_trial
    from optuna_nas.trials.folder import safe_name

    console = Console()
    found = load_study(study, storage)
    config = stored_config(found)
    with console.status("Preparing the network ..."):
        objective = config.make_objective()
        folder = export_trial(
            objective,
            found,
            found.best_trial if trial is None else _trial(found, trial),
            output or Path(f"{safe_name(study)}-export"),
            overwrite=overwrite,
        )
    console.print(f"Written: [bold]{escape(str(folder))}[/]", soft_wrap=True)
    _print_next(console, f"{shlex.join(['python', str(folder / 'predict.py')])} IMAGE ...")


def dashboard(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = False,
) -> None:
    """Show the studies of a storage, with pictures, in optuna-dashboard."""
    import optuna_dashboard

    from optuna_nas.storages import open_storage
    from optuna_nas.trials import ArtifactFolder

    found = load_study(study, storage)
    folder = ArtifactFolder(Path(stored_config(found).artifacts))
    folder.files.mkdir(parents=True, exist_ok=True)
    url = f"http://{host}:{port}/dashboard/studies/{found._study_id}"
    Console().print(f"Next: open [bold]{url}[/] in a browser; Ctrl-C stops.", soft_wrap=True)
    if browser:
        webbrowser.open(url)
    optuna_dashboard.run_server(
        open_storage(storage), host=host, port=port, artifact_store=folder.store
    )


def show_best(console: Console, study: optuna.Study) -> bool:
    """Draw the best architecture and its figures; False if no trial is complete."""
    from optuna.trial import TrialState

    from optuna_nas.visualization.cells import cell_text
    from optuna_nas.visualization.records import stored_space

    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return False
    trial = study.best_trial
    space, _ = stored_space(study)
    text = trial.user_attrs.get("architecture", "")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("best trial", str(trial.number))
    table.add_row("validation accuracy", f"{trial.value:.4f}")
    for name, form in {
        "test_accuracy": "{:.4f}",
        "parameters": "{:,}",
        "flops": "{:,}",
        "seconds": "{:.1f}",
    }.items():
        if name in trial.user_attrs:
            table.add_row(name.replace("_", " "), form.format(trial.user_attrs[name]))
    if space is not None:
        architecture = space.architecture(trial.params)
        console.print()
        console.print(cell_text(architecture))
        text = str(architecture)
    console.print()
    console.print(table)
    console.print(text, soft_wrap=True, markup=False, highlight=False)
    console.print()
    return True


def load_study(name: str, storage: str) -> optuna.Study:
    """Load an existing study.

    Raises:
        ValueError: There is none of that name; the message lists those there are.
    """
    import optuna

    from optuna_nas.cli.config import CONFIG_ATTRIBUTE
    from optuna_nas.storages import local_file, open_storage, public_address

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = local_file(storage)
    if file is not None and not file.exists():
        raise ValueError(
            f"`storage` is {storage!r}, and there is no {str(file)!r} here. Start a search with "
            "`optuna-nas search`, or name another --storage."
        )
    opened = open_storage(storage)
    try:
        study = optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        names = sorted(study.study_name for study in opened.get_all_studies())
        raise ValueError(
            f"`study` is {name!r}; in {public_address(storage)} there are {names}."
        ) from None
    if len(study.directions) > 1:
        raise ValueError(
            f"`study` is {name!r}, which has {len(study.directions)} objectives; allowed are "
            "studies with one."
        )
    if CONFIG_ATTRIBUTE in study.user_attrs:
        with suppress(ValueError):  # makes one's own class of spaces known; the rest goes without
            stored_config(study).make_space()
    return study


def stored_config(study: optuna.Study) -> SearchConfig:
    """The settings that `optuna-nas search` stored on the study.

    Raises:
        ValueError: The study was not made by the command.
    """
    from optuna_nas.cli.config import CONFIG_ATTRIBUTE, SearchConfig

    stored = study.user_attrs.get(CONFIG_ATTRIBUTE)
    if stored is None:
        raise ValueError(
            f"The study {study.study_name!r} was not made by `optuna-nas search`; use the Python "
            "functions of the same names."
        )
    return SearchConfig(**stored["config"])


def _print_next(console: Console, command: str) -> None:
    console.print(f"Next: [bold]{escape(command)}[/]", soft_wrap=True)


def _trial(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial:
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials):
        raise ValueError(f"`trial` is {number}; the study has trials 0 to {len(trials) - 1}.")
    return trials[number]
