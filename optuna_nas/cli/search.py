"""`optuna-nas search`: run a search, or go on with one."""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from optuna_nas._sampler_names import SAMPLERS
from optuna_nas.cli.deletion import unless_deleted
from optuna_nas.cli.interrupts import interruptible
from optuna_nas.cli.mending import mendable, show_error
from optuna_nas.cli.objectives import DEFAULT_OBJECTIVE, RECIPES
from optuna_nas.cli.objectives.parameters import defaults_in_words, with_options
from optuna_nas.cli.options import (
    DEFAULT_STORAGE,
    DEFAULT_STUDY,
    Artifacts,
    Storage,
    Study,
    next_command,
    seconds,
)
from optuna_nas.cli.terminal import SafeConsole

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.config import SearchConfig
    from optuna_nas.cli.objectives.recipe import Objective

_SEARCH = "The search"
_OBJECTIVES = "; ".join(f"{recipe.name}: {recipe.summary}" for recipe in RECIPES.values())
_SAMPLER = defaults_in_words({recipe.name: recipe.sampler for recipe in RECIPES.values()})
_TRIALS = defaults_in_words({recipe.name: recipe.trials for recipe in RECIPES.values()})
_PRUNER = defaults_in_words({recipe.name: recipe.pruner for recipe in RECIPES.values()})


@with_options(RECIPES.values())
def search(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    artifacts: Artifacts = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help=f"What one trial does. {_OBJECTIVES}. [dim]\\[default: {DEFAULT_OBJECTIVE}][/dim]"
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(SAMPLERS)}, or module:class.{_SAMPLER}",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(
            help="percentile, median, halving, hyperband or none." + _PRUNER,
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Finished trials the study should have in the end." + _TRIALS,
            rich_help_panel=_SEARCH,
        ),
    ] = None,
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
    start_from: Annotated[
        str | None,
        typer.Option(
            help="Train first what the best trials of this study found; space and data are its.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=1, help="Processes on this machine.", rich_help_panel=_SEARCH),
    ] = 1,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Seed of sampler, splits and trainings. [dim]\\[default: 0][/dim]",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    **options: Any,
) -> None:
    """Search architectures; the same command goes on with what was interrupted.

    In a study that exists already, options that are not given are as they were.
    """
    from optuna_nas.artifacts import open_artifacts
    from optuna_nas.cli.config import Given, SearchConfig
    from optuna_nas.cli.origin import load_origin, queue_architectures
    from optuna_nas.cli.studies import find_config, open_study
    from optuna_nas.cli.trust import check_modules, check_place

    given = Given(study, storage, objective, artifacts, sampler, pruner, seed, options)
    console = SafeConsole()
    with mendable():
        limit = seconds(timeout)
        stored = find_config(study, storage)
        origin = load_origin(start_from, study, storage)
        config = SearchConfig.resolve(given, stored, origin)
        check_modules(config, given)
        check_place(config, given)
        target = trials or config.recipe.trials
        if not more and start_from is None:
            finished = finished_study(config, stored, target)
            if finished is not None:
                show_finished(console, finished, config)
                return
        with console.status("Reading the data ..."):
            # All that can be wrong is found here, before anything is written or trained.
            if stored is not None:
                config.check_same_values(stored)
            open_artifacts(config.artifacts).check()
            config.make_pruner()
            made = config.make_objective()
            check_sampler(config, made)
        opened, changes = open_study(config, made)
        if start_from is not None:
            queued = queue_architectures(opened, config, start_from, made, target)
            words = f"The best {queued} architectures of {start_from} are trained first."
            console.print(escape(words), soft_wrap=True)
    if inherited := config.inherited(given):
        words = ", ".join(f"{name.replace('_', ' ')} {v}" for name, v in inherited.items())
        console.print(f"As in the study so far: {escape(words)}.", soft_wrap=True)
    if changes:
        console.print(f"Changed in the study: {escape('; '.join(changes))}.", soft_wrap=True)
    run(console, opened, config, trials=target, more=more, limit=limit, workers=workers)


def finished_study(
    config: SearchConfig, stored: SearchConfig | None, target: int
) -> optuna.Study | None:
    """The study if nothing is left to do in it, which is seen without its data; else None."""
    from optuna.trial import TrialState

    from optuna_nas.cli.studies import load_study
    from optuna_nas.cli.worker import finished_trials

    if stored is None or config.comparable() != stored.comparable() or config.changes(stored):
        return None
    study = load_study(config.study, config.storage)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return None if running or finished_trials(study) < target else study


def show_finished(console: Console, study: optuna.Study, config: SearchConfig) -> None:
    """Say that a study is done, and what came out."""
    from optuna_nas.cli.results import show_best

    say_done(console, study, config)
    show_best(console, study, config.recipe.report_parts())
    say_next(console, config)


def say_done(console: Console, study: optuna.Study, config: SearchConfig) -> None:
    """Say that a study is done, and how to go on nevertheless."""
    from optuna_nas.cli.worker import finished_trials

    done, name = finished_trials(study), escape(config.study)
    console.print(f"Study [bold]{name}[/] is done: {done} trials are finished. More: --more 10")


def say_next(console: Console, config: SearchConfig, note: str = "") -> None:
    """Say where what came out can be seen."""
    show, describe = (
        escape(next_command(command, config.study, config.storage))
        for command in ("dashboard", "report")
    )
    folder = escape(config.artifacts)
    console.print(f"Pictures, checkpoints and weights: {folder}", soft_wrap=True)
    if note:
        console.print(note)
    console.print(f"Pictures of every trial: [bold]{show}[/]", soft_wrap=True)
    console.print(f"Next: [bold]{describe}[/]", soft_wrap=True)


def check_sampler(config: SearchConfig, objective: Objective) -> None:
    """Make the sampler once, and if there are several values let it propose something.

    Raises:
        ValueError: The sampler cannot be had, or is for one value.
    """
    import optuna

    sampler = config.make_sampler()
    if len(objective.directions) > 1:
        storage = optuna.storages.InMemoryStorage()
        directions = list(objective.directions)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(storage=storage, sampler=sampler, directions=directions)
        optuna.logging.set_verbosity(verbosity)
        try:
            objective.space.suggest(study.ask())
        except ValueError as error:
            raise ValueError(
                f"`sampler` is {config.sampler!r}, which cannot search for the "
                f"{len(directions)} values {', '.join(objective.metric_names)} ({error}); allowed "
                f"are samplers for several values: {', '.join(SAMPLERS)}, and your own."
            ) from error


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
    from optuna_nas.cli.progress import Progress
    from optuna_nas.cli.results import show_best
    from optuna_nas.cli.supervisor import Supervisor, WorkerError
    from optuna_nas.cli.worker import finished_trials

    done = finished_trials(study)
    target = max(trials, done + more)
    if done >= target:
        say_done(console, study, config)
    elif done:
        name = escape(config.study)
        console.print(f"Study [bold]{name}[/] goes on: {done} trials are finished.")
    deadline = math.inf if limit is None else time.monotonic() + limit
    supervisor = Supervisor(
        study, config, workers=workers, target=target, deadline=min(deadline, 1e12)
    )
    interrupted = False
    try:
        with (
            unless_deleted(study),
            interruptible(),
            Progress(console, study, target, config.recipe, config.options) as progress,
            closing(supervisor.run()) as ticks,
        ):
            for _ in ticks:
                progress.update()
    except KeyboardInterrupt:
        interrupted = True
    except WorkerError as error:
        show_error(str(error))
        raise typer.Exit(1) from None
    show_best(console, study, config.recipe.report_parts())
    if interrupted:
        folder = escape(config.artifacts)
        console.print(f"Pictures, checkpoints and weights: {folder}", soft_wrap=True)
        console.print("Stopped. The same command goes on where it stopped.")
        raise typer.Exit(130)
    left = (done := finished_trials(study)) < target
    say_next(console, config, f"The time is up: {done} of {target} trials are finished." * left)
