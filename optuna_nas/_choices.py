"""Names that stand for objects: resolved once, in a constructor, with an error that helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def choose(argument: str, name: object, choices: Mapping[str, T]) -> T:
    """Return the choice of that name.

    Raises:
        ValueError: There is none; the message names the argument, the value and the choices.
    """
    if not isinstance(name, str) or name not in choices:
        raise ValueError(f"`{argument}` is {name!r}; allowed are {sorted(choices)}.")
    return choices[name]
