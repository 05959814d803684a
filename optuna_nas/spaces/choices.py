"""The choices of a categorical parameter, told apart by their places as Optuna does.

A choice can be of any type: a list has no hash, NaN is not equal to itself, `True` is equal to 1,
and a tuple comes back from a database as a list. Optuna stores the place of a choice; of choices
that are equal to each other the first one's.
"""

from __future__ import annotations

import json
import math
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution


def place_of(value: Any, distribution: CategoricalDistribution) -> int:
    """Return the place of a choice.

    Raises:
        ValueError: The value is none of the choices, nor what a storage makes of one.
    """
    try:
        return int(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        texts = [text_of(choice) for choice in distribution.choices]
        if (text := text_of(value)) in texts:
            return texts.index(text)
        raise ValueError(f"{value!r} is none of {distribution.choices}.") from None


def distinct_choices(distribution: CategoricalDistribution) -> list[Any]:
    """Return the choices without those that are stored as an earlier one."""
    choices = enumerate(distribution.choices)
    return [choice for place, choice in choices if place_of(choice, distribution) == place]


def text_of(choice: Any) -> str:
    """Return a choice as JSON, or its representation where it has none."""
    try:
        return json.dumps(choice, sort_keys=True, default=repr)
    except (TypeError, ValueError):  # keys that cannot be compared, or a circle
        return json.dumps(repr(choice))


def is_plain(distribution: BaseDistribution) -> bool:
    """Whether values can be told apart as they are, also after a way through JSON."""
    if not isinstance(distribution, CategoricalDistribution):
        return True
    choices = distribution.choices
    return (
        all(c is None or isinstance(c, (str, bool, int, float)) for c in choices)
        and len(set(choices)) == len(choices)  # True is 1
        and not any(isinstance(c, float) and math.isnan(c) for c in choices)
    )


def read_choice(text: Any, name: str, distribution: BaseDistribution) -> Any:
    """Return the choice that a JSON text has for a parameter; None if it has none."""
    try:
        assert isinstance(distribution, CategoricalDistribution)
        return distribution.choices[place_of(json.loads(text)[name], distribution)]
    except (KeyError, TypeError, ValueError):
        return None
