"""The command line `optuna-nas`.

Commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

from optuna_nas.cli.app import main

__all__ = ["main"]
