"""What studies and trials say of themselves, read as what it should be.

Attributes come from a database, to which anybody may have written anything. What is of another
type than it should be counts as missing: whoever reads an attribute decides what that means, and
nobody trusts its shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["as_number", "read_count", "read_list", "read_mapping", "read_number", "read_text"]

T = TypeVar("T")

Attributes = Mapping[str, Any]

_MOST = 2**63
"""Counts below this are counts; databases and arrays hold no larger ones."""


def as_number(value: object) -> float | None:
    """The value if it is a number that a float can hold, infinite and undefined ones too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        float(value)
    except OverflowError:
        return None
    return value


def read_number(attributes: Attributes, name: str) -> float | None:
    """The finite number under a name, an integer as one; None if there is none."""
    value = as_number(attributes.get(name))
    return value if value is not None and math.isfinite(value) else None


def read_count(attributes: Attributes, name: str) -> int | None:
    """The integer of 0 or more under a name; None if there is none."""
    value = attributes.get(name)
    return value if type(value) is int and 0 <= value < _MOST else None


def read_text(attributes: Attributes, name: str) -> str | None:
    """The text under a name; None if there is none."""
    value = attributes.get(name)
    return value if isinstance(value, str) else None


def read_list(attributes: Attributes, name: str, kind: type[T]) -> list[T]:
    """The list under a name, all of whose items are of a type; empty if there is none."""
    value = attributes.get(name)
    if not isinstance(value, (list, tuple)) or not all(type(item) is kind for item in value):
        return []
    return list(value)


def read_mapping(attributes: Attributes, name: str) -> dict[str, Any]:
    """The mapping with texts as names under a name; empty if there is none."""
    value = attributes.get(name)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return {}
    return dict(value)
