"""`python -m optuna_nas` is the command `optuna-nas`."""

from __future__ import annotations

from optuna_nas.cli import main

if __name__ == "__main__":
    main()
