"""The application: its commands, and how errors of the user are shown."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from optuna_nas._version import __version__
from optuna_nas.cli.compare import compare
from optuna_nas.cli.results import best, dashboard, export, report
from optuna_nas.cli.search import search
from optuna_nas.cli.worker import worker

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Search neural architectures with Optuna.",
    epilog="A first search, on handwritten digits: optuna-nas search --data digits --trials 20",
)
app.command()(search)
app.command()(best)
app.command()(report)
app.command()(export)
app.command()(dashboard)
app.command()(compare)
app.command(hidden=True)(worker)


def _print_version(asked: bool) -> None:
    if asked:
        Console().print(f"optuna-nas {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit code 2."""
    try:
        app()
    except (ValueError, TypeError, OSError, LookupError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        Console(stderr=True).print(
            f"[bold red]Error:[/] {escape(str(text))}", highlight=False, soft_wrap=True
        )
        sys.exit(2)
