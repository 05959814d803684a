"""Options of a method, declared once: as fields of the dataclasses that it is composed of.

From the metadata of a field come the check of a name, what a trial may suggest, the options of the
command line and the table in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """A setting of a method.

    Attributes:
        name: Its name.
        kind: The type of its value.
        default: Its value in the method; None for one that depends on others.
        help: What it is, in a few words.
        minimum: The least number that is allowed.
        tunable: Whether trials may suggest it.
        needs: The value of another option without which it has no meaning.
    """

    name: str
    kind: type[int] | type[float] | type[bool] | type[str]
    default: Any
    help: str
    minimum: int | None
    tunable: bool
    needs: tuple[str, Any] | None


def option(
    default: Any,
    help: str,
    *,
    kind: type[int] | type[float] | None = None,
    minimum: int | None = None,
    tunable: bool = False,
    needs: tuple[str, Any] | None = None,
) -> Any:
    """A field of a dataclass that is an option; see :class:`Option` for the arguments."""
    about = {
        "kind": kind or type(default),
        "help": help,
        "minimum": minimum,
        "tunable": tunable,
        "needs": needs,
    }
    return field(default=default, metadata={_KEY: about})


def options_of(choice: Any) -> Mapping[str, Option]:
    """The options of one dataclass by name, with the values that they have there."""
    return {
        declared.name: Option(
            name=declared.name, default=getattr(choice, declared.name), **declared.metadata[_KEY]
        )
        for declared in fields(choice)
        if _KEY in declared.metadata
    }
