"""Checks of arguments, with errors that name the argument, the value and what is allowed."""

from __future__ import annotations

from numbers import Integral


def checked_integer(argument: str, value: int, minimum: int = 1) -> int:
    """Return the value if it is an integer of at least `minimum`.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"`{argument}` is {value!r}; allowed is an integer of {minimum} or more.")
    return int(value)
