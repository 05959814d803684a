"""`optuna-nas search`: run a search, or go on with one."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
import warnings
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from optuna_nas.cli.options import Artifacts, Storage, Study

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.config import SearchConfig
    from optuna_nas.objectives import CellCNN

_SEARCH = "The search"
_DATA = "The images"
_TRAINING = "The training of one architecture"


def search(
    study: Study = "nas",
    storage: Storage = "sqlite:///optuna-nas.db",
    artifacts: Artifacts = None,
    space: Annotated[
        str,
        typer.Option(
            help="nasbench201, nasbench101, darts, or module:object for your own.",
            rich_help_panel=_SEARCH,
        ),
    ] = "nasbench201",
    sampler: Annotated[
        str,
        typer.Option(
            help="bananas, evolution, local-search, random, tpe, or module:class.",
            rich_help_panel=_SEARCH,
        ),
    ] = "bananas",
    pruner: Annotated[
        str,
        typer.Option(
            help="percentile, median, halving, hyperband or none.", rich_help_panel=_SEARCH
        ),
    ] = "percentile",
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Finished trials the study should have in the end.",
            rich_help_panel=_SEARCH,
        ),
    ] = 50,
    more: Annotated[
        int,
        typer.Option(
            min=0,
            help="Finish at least so many more trials, if --trials is reached already.",
            rich_help_panel=_SEARCH,
        ),
    ] = 0,
    timeout: Annotated[
        str | None,
        typer.Option(
            help="Start no trial after this time: 90s, 15m, 2h.", rich_help_panel=_SEARCH
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=1, help="Processes on this machine.", rich_help_panel=_SEARCH),
    ] = 1,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="Seed of sampler, splits and trainings.", rich_help_panel=_SEARCH
        ),
    ] = 0,
    data: Annotated[
        str,
        typer.Option(
            help="digits, a folder or file of images, or a dataset of the Hugging Face hub.",
            rich_help_panel=_DATA,
        ),
    ] = "digits",
    image_column: Annotated[
        str | None, typer.Option(help="Column of the images.", rich_help_panel=_DATA)
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of the labels.", rich_help_panel=_DATA)
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize to this side.", rich_help_panel=_DATA)
    ] = None,
    train_size: Annotated[
        int | None, typer.Option(help="Training images to use.", rich_help_panel=_DATA)
    ] = None,
    validation_size: Annotated[
        int | None, typer.Option(help="Validation images to use.", rich_help_panel=_DATA)
    ] = None,
    test_size: Annotated[
        int | None, typer.Option(help="Test images to use.", rich_help_panel=_DATA)
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the images.", rich_help_panel=_TRAINING)
    ] = 12,
    batch_size: Annotated[
        int, typer.Option(min=2, help="Images of a step.", rich_help_panel=_TRAINING)
    ] = 64,
    channels: Annotated[
        int | None,
        typer.Option(help="Width of the networks; published if unset.", rich_help_panel=_TRAINING),
    ] = None,
    cells: Annotated[
        int | None,
        typer.Option(help="Depth of the networks; published if unset.", rich_help_panel=_TRAINING),
    ] = None,
    learning_rate: Annotated[
        float, typer.Option(help="Peak of the learning rate.", rich_help_panel=_TRAINING)
    ] = 0.1,
    weight_decay: Annotated[
        float, typer.Option(help="L2 penalty.", rich_help_panel=_TRAINING)
    ] = 5e-4,
    cutout: Annotated[
        int, typer.Option(help="Side of the blanked square.", rich_help_panel=_TRAINING)
    ] = 0,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda, ...; a GPU if unset.", rich_help_panel=_TRAINING),
    ] = None,
) -> None:
    """Search architectures; the same command goes on with what was interrupted."""
    from optuna_nas.cli.config import SearchConfig, seconds
    from optuna_nas.trials.folder import safe_name

    limit = seconds(timeout)
    config = SearchConfig(
        study=study,
        storage=storage,
        artifacts=str(Path(artifacts or f"{safe_name(study)}-artifacts")),
        space=space,
        sampler=sampler,
        pruner=pruner,
        data=data,
        seed=seed,
        loading={
            "image_column": image_column,
            "label_column": label_column,
            "image_size": image_size,
            "train_size": train_size,
            "validation_size": validation_size,
            "test_size": test_size,
        },
        training={
            "epochs": epochs,
            "batch_size": batch_size,
            "channels": channels,
            "cells": cells,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "cutout": cutout,
            "device": device,
        },
    )
    console = Console()
    with console.status("Reading the images ..."):
        # All that can be wrong is found here, before anything is written or trained.
        config.make_sampler()
        config.make_pruner()
        check_folder(Path(config.artifacts))
        objective = config.make_objective()
    opened = open_study(config, objective)
    run(console, opened, config, trials=trials, more=more, limit=limit, workers=workers)


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, without making it.

    Raises:
        ValueError: It is a file, or neither it nor what it would be made in can be written.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ValueError(
            f"`artifacts` is {str(folder)!r}, but {str(there)!r} is no folder that can be "
            "written; allowed is a folder, also one that is still to be made."
        )


def open_study(config: SearchConfig, objective: CellCNN) -> optuna.Study:
    """Create the study, or check that the existing one can be gone on with."""
    import optuna
    from optuna.exceptions import ExperimentalWarning

    from optuna_nas.cli.config import CONFIG_ATTRIBUTE
    from optuna_nas.cli.note import write_note
    from optuna_nas.spaces import recall_space
    from optuna_nas.storages import open_storage, public_address

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=config.study,
        storage=open_storage(config.storage),
        directions=objective.directions,
        load_if_exists=True,
    )
    if study.directions != list(objective.directions):
        raise ValueError(
            f"The study {config.study!r} has the directions {[d.name for d in study.directions]}, "
            f"the search needs {[d.name for d in objective.directions]}. Use another --study."
        )
    stored = study.user_attrs.get(CONFIG_ATTRIBUTE)
    if stored is not None:
        config.check_same_values(type(config)(**stored["config"]))
        space = recall_space(study)
        if space is not None and space != objective.space:
            raise ValueError(
                f"The study {config.study!r} searches {space!r}, and `space` {config.space!r} is "
                f"now {objective.space!r}. Use another --study."
            )
    elif study.get_trials(deepcopy=False):
        raise ValueError(
            f"The study {config.study!r} exists and was not made by `optuna-nas search`. Use "
            "another --study."
        )
    else:
        # The database's password stays out of the database and of what is shown from it.
        public = public_address(config.storage)
        arguments = [argument.replace(config.storage, public) for argument in sys.argv[1:]]
        command = shlex.join(["optuna-nas", *arguments])
        stored = {"command": command, "config": asdict(replace(config, storage=public))}
        study.set_user_attr(CONFIG_ATTRIBUTE, stored)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(objective.metric_names))
        write_note(study, config, objective, command)
    return study


def run(
    console: Console,
    study: optuna.Study,
    config: SearchConfig,
    *,
    trials: int,
    more: int,
    limit: float | None,
    workers: int,
) -> None:
    """Run workers until the study has enough trials, and show how it goes."""
    from optuna_nas.cli.options import next_command
    from optuna_nas.cli.progress import Progress
    from optuna_nas.cli.results import show_best
    from optuna_nas.cli.supervisor import Supervisor, WorkerError
    from optuna_nas.cli.worker import finished_trials

    done = finished_trials(study)
    target = max(trials, done + more)
    name = f"Study [bold]{escape(config.study)}[/]"
    if done >= target:
        console.print(f"{name} is done: {done} trials are finished. More: --more 10")
    elif done:
        console.print(f"{name} goes on: {done} trials are finished.")
    deadline = math.inf if limit is None else time.time() + limit
    supervisor = Supervisor(
        study, config, workers=workers, target=target, deadline=min(deadline, 1e12)
    )
    interrupted = False
    try:
        with (
            Progress(console, study, target, epochs=config.training["epochs"]) as progress,
            closing(supervisor.run()) as ticks,
        ):
            for _ in ticks:
                progress.update()
    except KeyboardInterrupt:
        interrupted = True
    except WorkerError as error:
        Console(stderr=True).print(
            f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from None
    show_best(console, study)
    show, describe = (
        escape(next_command(command, config.study, config.storage))
        for command in ("dashboard", "report")
    )
    folder = escape(config.artifacts)
    console.print(f"Pictures, checkpoints and weights: {folder}", soft_wrap=True)
    if interrupted:
        console.print("Stopped. The same command goes on where it stopped.")
        raise typer.Exit(130)
    if (done := finished_trials(study)) < target:
        console.print(f"The time is up: {done} of {target} trials are finished.")
    console.print(f"Pictures of every trial: [bold]{show}[/]", soft_wrap=True)
    console.print(f"Next: [bold]{describe}[/]", soft_wrap=True)
