"""`optuna-nas surrogate`: make a benchmark of a study's trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from optuna_nas.cli.mending import mendable
from optuna_nas.cli.options import (
    DEFAULT_STORAGE,
    DEFAULT_STUDY,
    Space,
    Storage,
    Study,
    program_command,
)
from optuna_nas.cli.terminal import SafeConsole

_WEAK = 0.5


def surrogate(
    study: Study = DEFAULT_STUDY,
    storage: Storage = DEFAULT_STORAGE,
    output: Annotated[
        Path | None, typer.Option(help="File to write; <study>-surrogate.jsonl if unset.")
    ] = None,
    noise: Annotated[
        bool, typer.Option(help="Give trials a draw from the noise of trainings.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")] = 0,
    space: Space = None,
) -> None:
    """Make a benchmark of a study: what its trainings teach predicts all the others."""
    from optuna_nas.artifacts.names import safe_name
    from optuna_nas.cli.results import know_space
    from optuna_nas.cli.studies import load_study
    from optuna_nas.objectives import SurrogateBenchmark

    console = SafeConsole()
    with mendable():
        found = load_study(study, storage)
        know_space(space)
    with console.status("Learning from the trainings ..."), mendable():
        benchmark = SurrogateBenchmark.fit(found, noise=noise, seed=seed)
    with mendable(OSError):
        path = benchmark.save(output or Path(f"{safe_name(study)}-surrogate.jsonl"))
    quality = benchmark.quality
    console.print(
        f"Made of {quality.trainings} trainings. Of those that were left out in turn, predictions "
        f"have a rank correlation of {quality.rank_correlation:.2f} with what came out, and 90 % "
        f"intervals hold {quality.coverage:.0%}.",
        soft_wrap=True,
    )
    if quality.rank_correlation < _WEAK:
        console.print(
            "That is too little to compare samplers on: train more architectures.", style="yellow"
        )
    console.print(f"Written: [bold]{escape(str(path))}[/]", soft_wrap=True)
    following = program_command("compare", "--benchmark", "surrogate", "--path", str(path))
    console.print(f"Next: [bold]{escape(following)}[/]", soft_wrap=True)
