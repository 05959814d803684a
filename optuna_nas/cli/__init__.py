"""The command line `optuna-nas`.

Commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import sys

from optuna_nas._extras import MissingPackageError, require_command_line
from optuna_nas.cli.interrupts import INTERRUPTED_CODE

__all__ = ["main"]


def main() -> None:
    """Run the command line, if it is installed."""
    try:
        require_command_line("The command line")
    except MissingPackageError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    try:
        from optuna_nas.cli.app import main as run

        run()
    except KeyboardInterrupt:  # before or after what handles it
        sys.exit(INTERRUPTED_CODE)
