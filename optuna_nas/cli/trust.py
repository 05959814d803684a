"""What only the command line may decide, whatever a study's settings say.

A study comes from a database, to which others may have written. Its settings choose among what is
built in. A module is imported, and a folder outside of the working one is written to, only if the
command itself names it.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas._checks import user_path
from optuna_nas.artifacts.opening import is_bucket

if TYPE_CHECKING:
    from optuna_nas.cli.config import Given, SearchConfig

__all__ = ["check_modules", "check_place", "is_here"]


def check_modules(config: SearchConfig, given: Given) -> None:
    """Refuse to import what the command does not name.

    Args:
        config: The settings of a search, partly those that a study stores.
        given: What the command names.

    Raises:
        ValueError: A setting is `module:object` and was not given; the message says what to type.
    """
    named = {"sampler": given.sampler, **given.options}
    used = {"sampler": config.sampler}
    used |= {o.name: config.options[o.name] for o in config.recipe.options if o.imports}
    for name, value in used.items():
        if value is not None and ":" in value and named.get(name) != value:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{flag} of the study is {value!r}, a module of one's own, and what a study says "
                f"is not imported unless the command says it too: {shlex.join([flag, value])}."
            )


def check_place(config: SearchConfig, given: Given) -> None:
    """Refuse to write where the command does not say, unless that is within this folder.

    Raises:
        ValueError: The study's artifacts are elsewhere and were not given; the message says what
            to type.
    """
    place = config.artifacts
    if given.artifacts is None and not is_here(place):
        raise ValueError(
            f"--artifacts of the study is {place!r}, outside of this folder, and where a study "
            "says is not written to unless the command says it too: "
            f"{shlex.join(['--artifacts', place])}."
        )


def is_here(place: str) -> bool:
    """Whether the address of artifacts is a folder within the working one, also one to be made."""
    if is_bucket(place):
        return False
    try:
        return user_path(place).resolve().is_relative_to(Path.cwd().resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no path at all
        return False
