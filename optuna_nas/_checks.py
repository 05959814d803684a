"""Checks of arguments, with errors that name the argument, the value and what is allowed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from pathlib import Path

from optuna_nas.errors import UserError


def checked_integer(
    argument: str, value: int, minimum: int = 1, maximum: int | None = None
) -> int:
    """Return the value if it is an integer from `minimum` to `maximum`; None is no limit.

    Raises:
        ValueError: It is not.
    """
    allowed = f"of {minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
    if (
        isinstance(value, bool)
        or not isinstance(value, Integral)
        or value < minimum
        or (maximum is not None and value > maximum)
    ):
        raise ValueError(f"`{argument}` is {value!r}; allowed is an integer {allowed}.")
    return int(value)


def checked_number(argument: str, value: float) -> float:
    """Return the value if it is a finite number.

    Raises:
        ValueError: It is not.
    """
    if not _is_number(value) or not math.isfinite(value):
        raise ValueError(f"`{argument}` is {value!r}; allowed are finite numbers.")
    return float(value)


def checked_positive(argument: str, value: float, *, infinite: bool = False) -> float:
    """Return the value if it is a positive number, finite unless `infinite` is allowed.

    Raises:
        ValueError: It is not.
    """
    if not _is_number(value) or not value > 0 or (math.isinf(value) and not infinite):
        raise ValueError(f"`{argument}` is {value!r}; allowed are positive numbers.")
    return float(value)


def checked_clip(argument: str, value: float) -> float:
    """Return the value if it is a positive number, or infinite: the largest norm of a gradient.

    Raises:
        ValueError: It is not.
    """
    return checked_positive(argument, value, infinite=True)


def checked_share(argument: str, value: float) -> float:
    """Return the value if it is a number from 0 to below 1.

    Raises:
        ValueError: It is not.
    """
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f"`{argument}` is {value!r}; allowed are numbers from 0 to below 1.")
    return float(value)


def user_path(path: str | Path) -> Path:
    """Return the path with `~` replaced.

    Raises:
        UserError: It begins with the home of a user that there is not.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{str(path)!r} begins with the home folder of a user that is not known here."
        ) from error


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
