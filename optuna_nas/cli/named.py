"""Objects by a known name, or by `module:object` for one's own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["made", "named", "unfit"]


def named(argument: str, name: str, known: Mapping[str, str]) -> Any:
    """The object of a known name or of `module:object`.

    Args:
        argument: What the name was given for.
        name: The name.
        known: `module:object` by known name.

    Raises:
        ValueError: There is none, or it cannot be imported.
    """
    allowed = f"allowed are {sorted(known)} and module:object"
    if ":" not in name and name not in known:
        raise ValueError(f"`{argument}` is {name!r}; {allowed}.")
    if ":" in name and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # one's own modules, also if this is run as an installed program
    module, _, attribute = known.get(name, name).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a module of the user's may fail in any way
        raise ValueError(
            f"`{argument}` is {name!r}, which cannot be imported "
            f"({type(error).__name__}: {error}); {allowed}."
        ) from error


def made(argument: str, name: str, factory: Any, **arguments: Any) -> Any:
    """Call a class or function that :func:`named` found.

    Raises:
        ValueError: It takes other arguments.
    """
    try:
        return factory(**arguments)
    except (TypeError, SystemExit) as error:
        raise ValueError(
            f"`{argument}` is {name!r}, which cannot be called with "
            f"{', '.join(arguments) or 'no arguments'} ({error}); allowed for module:object is "
            "what can."
        ) from error


def unfit(argument: str, name: str, found: Any, allowed: str) -> ValueError:
    """The error of an object that is something else than needed."""
    return ValueError(f"`{argument}` is {name!r}, a {type(found).__name__}; allowed is {allowed}.")
