"""The application: its commands, and how errors of the user are shown."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from optuna_nas._version import __version__
from optuna_nas.cli.compare import compare
from optuna_nas.cli.cost_table import cost_table
from optuna_nas.cli.mending import show_error, storage_failure
from optuna_nas.cli.results import best, dashboard, export, report
from optuna_nas.cli.search import search
from optuna_nas.cli.surrogate import surrogate
from optuna_nas.cli.terminal import SafeConsole, prepare_terminal
from optuna_nas.cli.worker import worker
from optuna_nas.errors import UserError

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
app.command("cost-table")(cost_table)
app.command()(surrogate)
app.command(hidden=True)(worker)


def _print_version(asked: bool) -> None:
    if asked:
        SafeConsole().print(f"optuna-nas {__version__}", highlight=False)
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


_ALIASES = {"folder": "output", "path": "output", "size": "ensemble_size", "source": "data"}
"""What functions call what the command line calls otherwise."""


def _with_flags(text: str) -> str:
    """The message of an error with the flags of this command in place of names of arguments."""
    commands = vars(typer.main.get_command(app)).get("commands", {})
    called = [commands[word] for word in sys.argv[1:2] if word in commands]
    known = {str(parameter.name) for command in called for parameter in command.params}

    def flag(found: re.Match[str]) -> str:
        name = (found[1] or found[2] or found[3]).replace("-", "_")
        name = name if name in known else _ALIASES.get(name, name)
        return f"--{name.replace('_', '-')}" if name in known else found[0]

    # A name of several words is told from a word of the message without quotation marks too, and
    # so is one whose value was another.
    several, changed = r"\b([a-z]+(?:_[a-z]+)+)\b(?=[= ])", r"\b([a-z]+)(?= was [^;]* and is )"
    return re.sub(rf"`([a-z_-]+)`|{several}|{changed}", flag, text)


def main() -> None:
    """Run the command line; see :mod:`optuna_nas.cli.mending` for what becomes of errors."""
    prepare_terminal()
    try:
        app()
    except UserError as error:
        show_error(_with_flags(str(error)))
        sys.exit(2)
    except Exception as error:
        failure = storage_failure(error)
        if failure is None:
            raise
        show_error(failure)
        sys.exit(1)
