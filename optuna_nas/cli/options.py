"""Options that several commands share."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STUDY = "nas"
DEFAULT_STORAGE = "sqlite:///optuna-nas.db"

Study = Annotated[str, typer.Option(help="Name of the study.")]
STORAGE_VARIABLE = "OPTUNA_NAS_STORAGE"
"""Environment variable with the storage's address, which keeps its password out of commands."""
Storage = Annotated[
    str,
    typer.Option(
        envvar=STORAGE_VARIABLE,
        help="Database address (sqlite, postgresql, mysql), journal file (.journal), redis:// or "
        "grpc://.",
    ),
]
Space = Annotated[
    str | None,
    typer.Option(
        help="module:object of your own space, if the study has one: what only the study names is "
        "not imported."
    ),
]
Artifacts = Annotated[
    str | None,
    typer.Option(
        help="Folder of pictures, checkpoints and weights, or s3://bucket/prefix; "
        "<study>-artifacts if unset."
    ),
]


def next_command(name: str, study: str, storage: str, *more: str) -> str:
    """A command on the study as it can be typed here, without what is the default."""
    from optuna_nas.storages import public_address

    words = [*_program(), name]
    if study != DEFAULT_STUDY:
        words += ["--study", study]
    if storage != os.environ.get(STORAGE_VARIABLE, DEFAULT_STORAGE):
        words += ["--storage", public_address(storage)]
    return shlex.join([*words, *more])


def program_command(*words: str) -> str:
    """A command that is about no study, as it can be typed here."""
    return shlex.join([*_program(), *words])


def _program() -> list[str]:
    """How this program was called: by its name if that is on the path, else by its place."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return ["python", "-m", "optuna_nas"]
    found = shutil.which(called.name)
    if found is None or not called.exists() or not Path(found).samefile(called):
        return [os.path.relpath(called)] if called.exists() else [called.name]
    return [called.name]


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str | None) -> float | None:
    """Read a duration such as `90`, `90s`, `15m`, `2h` or `3d`.

    Raises:
        ValueError: The text is no positive duration.
    """
    if text is None:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"`timeout` is {text!r}; allowed are durations such as 90s, 15m or 2h.")
    return value
