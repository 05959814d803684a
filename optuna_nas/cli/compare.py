"""`optuna-nas compare`: run samplers on a benchmark of recorded trainings, and compare them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from optuna_nas._sampler_names import SAMPLERS
from optuna_nas.cli.mending import mendable, show_error
from optuna_nas.cli.terminal import SafeConsole

if TYPE_CHECKING:
    from optuna_nas.compare import Comparison
    from optuna_nas.compare.runs import Benchmark
    from optuna_nas.visualization.regret_curves import Statistic

RESULTS = "runs.jsonl"
"""The file of finished runs in the output folder."""


def compare(
    benchmark: Annotated[
        str,
        typer.Option(
            help="nasbench201-cifar10, nasbench201-cifar100, nasbench201-imagenet16, nasbench101, "
            "nasbench1shot1-1, -2 or -3, layer-drop, which needs no file, or surrogate, a file of "
            "optuna-nas surrogate."
        ),
    ] = "nasbench201-cifar10",
    samplers: Annotated[
        str,
        typer.Option(
            help=f"Names separated by commas: {', '.join(SAMPLERS)}, gp, a class of "
            "optuna.samplers, module:class; with arguments: "
            "bananas:batch_size=5:encoding=one_hot."
        ),
    ] = "bananas,evolution,local-search,tpe,random",
    trials: Annotated[int, typer.Option(min=1, help="Trainings of a run.")] = 150,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each sampler.")] = 30,
    output: Annotated[Path, typer.Option(help="Folder of runs, tables and pictures.")] = Path(
        "comparison"
    ),
    path: Annotated[Path | None, typer.Option(help="File of the recorded trainings.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is optimised; the benchmark's own if unset.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one for each core if unset.")
    ] = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            help="After how many trainings regrets are shown and tested, such as 50,100; a third, "
            "two thirds and all if unset."
        ),
    ] = None,
    statistic: Annotated[str, typer.Option(help="What pictures show: mean or median.")] = "mean",
    log: Annotated[bool, typer.Option(help="Logarithmic axis of regrets.")] = True,
) -> None:
    """Compare samplers; the same command goes on with what was interrupted."""
    from optuna_nas._choices import choose
    from optuna_nas.compare import Comparison, RunError
    from optuna_nas.compare import compare as run_comparison
    from optuna_nas.compare.samplers import contestants
    from optuna_nas.visualization.regret_curves import BANDS

    console = SafeConsole()
    names = [name.strip() for name in samplers.split(",") if name.strip()]
    with mendable(ValueError, TypeError, OSError):  # types too: of samplers of one's own
        choose("statistic", statistic, BANDS)
        after = None if budgets is None else _budgets(budgets, trials)
        contestants(names)
    shown = cast("Statistic", statistic)
    with console.status("Reading the recorded trainings ..."), mendable():
        objective = _benchmark(benchmark, path, metric)
    interrupted = False
    try:
        with _Progress(console) as progress, mendable():
            comparison = run_comparison(
                objective,
                names,
                n_trials=trials,
                seeds=seeds,
                workers=workers,
                results=output / RESULTS,
                progress=progress.update,
            )
    except KeyboardInterrupt:
        interrupted = True
        try:
            comparison = Comparison.read(output / RESULTS, names)
        except (ValueError, OSError):
            console.print("Stopped before a run was finished.")
            raise typer.Exit(130) from None
    except RunError as error:
        show_error(str(error))
        raise typer.Exit(1) from None
    _show(console, comparison, after)
    with mendable(OSError):
        _write(comparison, output, shown, log, after)
    console.print(
        f"Written to {output}: {RESULTS}, comparison.md, comparison.csv, regret.html, regret.svg",
        soft_wrap=True,
    )
    if interrupted:
        console.print("Stopped. The same command goes on where it stopped.")
        raise typer.Exit(130)
    console.print(
        f"Next: open [bold]{output / 'regret.html'}[/] in a browser; the same command with more "
        "--seeds or --samplers adds to these runs.",
        soft_wrap=True,
    )


def _budgets(text: str, trials: int) -> list[int]:
    """Read numbers of trainings, in order.

    Raises:
        ValueError: One is no number from 1 to the trainings of a run.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= trials for word in words):
        raise ValueError(
            f"`budgets` is {text!r}; allowed are numbers from 1 to {trials} separated by commas."
        )
    return sorted({int(word) for word in words})


def _benchmark(name: str, path: Path | None, metric: str | None) -> Benchmark:
    from optuna_nas._choices import choose
    from optuna_nas.objectives import LayerDropTable, NASBench1Shot1, NASBench101, NASBench201

    makers: dict[str, Callable[..., Benchmark]] = {
        "layer-drop": LayerDropTable,
        "nasbench101": NASBench101,
        **{f"nasbench1shot1-{n}": partial(NASBench1Shot1, n) for n in (1, 2, 3)},
        "nasbench201-cifar10": partial(NASBench201, "cifar10"),
        "nasbench201-cifar100": partial(NASBench201, "cifar100"),
        "nasbench201-imagenet16": partial(NASBench201, "imagenet16"),
        "surrogate": _surrogate,
    }
    make = choose("benchmark", name, makers)
    return make(path=path) if metric is None else make(path=path, metric=metric)


def _surrogate(path: Path | None, metric: str | None = None) -> Benchmark:
    from optuna_nas.objectives import SurrogateBenchmark

    if path is None:
        raise ValueError("`path` is unset; needed is a file that optuna-nas surrogate wrote.")
    made = SurrogateBenchmark.load(path)
    if metric not in (None, made.metric_names[0]):
        raise ValueError(f"`metric` is {metric!r}; allowed is {made.metric_names[0]!r}.")
    return made


class _Progress:
    """A bar of finished runs."""

    def __init__(self, console: Console) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("[bold]runs"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("runs", total=None)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        self._bar.start()  # not before: what is wrong with the arguments is said without a bar
        self._bar.update(self._task, completed=done, total=total)


def _show(console: Console, comparison: Comparison, budgets: list[int] | None) -> None:
    """Print the summary, and the tests if there are several samplers."""
    from optuna_nas.compare.tables import pair_rows, regret

    chosen = budgets or comparison.budgets()
    summaries = comparison.summary(chosen)
    table = Table(
        title=f"{comparison.name}: regret of {comparison.metric}", title_justify="left", box=SIMPLE
    )
    table.add_column("sampler", overflow="fold")
    for heading in ("seeds", *(f"@{b} mean (found)" for b in chosen), "ms/ask"):
        table.add_column(heading, justify="right")
    for sampler in comparison.samplers:
        own = [summary for summary in summaries if summary.sampler == sampler]
        cells = [f"{regret(s.mean)} ({s.found:.0%})" for s in own]
        table.add_row(Text(sampler), str(own[0].seeds), *cells, f"{own[0].ms_per_ask:.2f}")
    console.print(table)
    for budget in budgets or [comparison.n_trials]:
        head, rows = pair_rows(comparison, budget)
        if not rows:
            break
        tests = Table(title=f"Pairs after {budget} trainings", title_justify="left", box=SIMPLE)
        for i, heading in enumerate(head):
            tests.add_column(heading, justify="right" if i else "left", overflow="fold")
        for row in rows:
            tests.add_row(*map(Text, row))
        console.print(tests)


def _write(
    comparison: Comparison,
    output: Path,
    statistic: Statistic,
    log: bool,
    budgets: list[int] | None,
) -> None:
    from optuna_nas.artifacts.atomic import write_output
    from optuna_nas.compare import markdown, write_csv
    from optuna_nas.visualization.regret import plot_regret
    from optuna_nas.visualization.regret_svg import regret_svg

    output.mkdir(parents=True, exist_ok=True)
    write_csv(comparison, output / "comparison.csv", budgets)
    figure = plot_regret(comparison, statistic=statistic, log=log)
    texts = {
        "comparison.md": markdown(comparison, budgets),
        "regret.svg": regret_svg(comparison, statistic=statistic, log=log),
        "regret.html": figure.to_html(include_plotlyjs=True),
    }
    for name, text in texts.items():
        write_output(output / name, text.encode())
