"""`python -m optuna_nas` is the command `optuna-nas`."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    if sys.path[0] == os.getcwd():  # noqa: PTH109 - a module of the user's could be named as ours
        sys.path.append(sys.path.pop(0))  # the user's come last, not instead of a library's
    from optuna_nas.cli import main

    main()
