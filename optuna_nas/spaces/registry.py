"""The classes of search spaces by name, and a space from its stored description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna_nas.spaces.base import SearchSpace

SPACES: dict[str, type[SearchSpace]] = {}
"""Every class that was defined in this process; a class enters itself."""


def space_from_dict(description: Mapping[str, Any]) -> SearchSpace:
    """Build the space that `SearchSpace.to_dict` described.

    Args:
        description: The stored description; `description["space"]` names the class.

    Raises:
        ValueError: No space class of that name is known in this process, or it cannot be built
            from this description.
    """
    name = description.get("space") if isinstance(description, Mapping) else None
    if not isinstance(name, str) or name not in SPACES:
        raise ValueError(
            f"Unknown search space {name!r}; known are {sorted(SPACES)}. "
            "Import the module that defines your own space before the study is used."
        )
    try:
        return SPACES[name].from_dict(description)
    except ValueError:
        raise
    except Exception as error:  # what a database says may be anything
        raise ValueError(f"The description of a {name} is damaged: {error!r}.") from error
