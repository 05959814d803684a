"""Options that several commands share."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

DEFAULT_STUDY = "nas"
DEFAULT_STORAGE = "sqlite:///optuna-nas.db"

Study = Annotated[str, typer.Option(help="Name of the study.")]
Storage = Annotated[str, typer.Option(help="Database address, or a journal file (.journal).")]
Artifacts = Annotated[
    str | None,
    typer.Option(help="Folder of pictures, checkpoints and weights; <study>-artifacts if unset."),
]


def arguments(study: str, storage: str) -> str:
    """The options that name a study in the next command, without what is the default."""
    from optuna_nas.storages import public_address

    text = ""
    if study != DEFAULT_STUDY:
        text += f" --study {shlex.quote(study)}"
    if storage != DEFAULT_STORAGE:
        text += f" --storage {shlex.quote(public_address(storage))}"
    return text
