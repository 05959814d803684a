"""How sure a measured accuracy, or another score, is.

An accuracy is the share of some examples whose class is predicted. Another draw of as many
examples would give another share; its spread is the binomial standard error. Two accuracies whose
difference is within what that spread explains are not told apart by their examples.

The standard error of another score is measured with it; a trial keeps it beside the score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna_nas._attributes import read_count, read_number

__all__ = [
    "Examples",
    "distinguishable",
    "error_in_words",
    "examples_of",
    "measured_attributes",
    "measured_error",
    "standard_error",
]

_KINDS = ("images", "texts", "rows")
_SIGNIFICANT = 1.96
"""Standard errors of a difference that chance exceeds in one of twenty comparisons."""


@dataclass(frozen=True)
class Examples:
    """What an accuracy was measured on.

    Attributes:
        number: How many.
        kind: What they are, in the plural.
    """

    number: int
    kind: str

    def __str__(self) -> str:
        return f"{self.number:,} {self.kind if self.number != 1 else self.kind[:-1]}"


def standard_error(accuracy: float, examples: int) -> float:
    """The standard error of an accuracy, never 0.

    It is the binomial `sqrt(p (1 - p) / n)`. Where all or none are right, that would be 0; there
    it is the width of Wilson's interval of one standard error, `1 / (n + 1)`.

    Args:
        accuracy: The share of right predictions, from 0 to 1.
        examples: How many examples there were, at least 1.
    """
    if accuracy in (0, 1):
        return 1 / (examples + 1)
    return math.sqrt(accuracy * (1 - accuracy) / examples)


def distinguishable(difference: float, error: float, other_error: float) -> bool:
    """Whether chance explains a difference of two accuracies in fewer than 1 of 20 cases.

    This is Wald's test of two proportions. It takes the examples as different ones; on the same
    examples, where errors coincide, smaller differences may be real too.
    """
    return abs(difference) > _SIGNIFICANT * math.hypot(error, other_error)


def error_in_words(examples: int) -> str:
    """Say how large the standard error of accuracies of so many examples is."""
    half, high = (standard_error(accuracy, examples) for accuracy in (0.5, 0.95))
    return f"The standard error of a validation accuracy is {half:.3f} at 0.5, {high:.3f} at 0.95."


def measured_attributes(split: str, name: str, value: float, error: float) -> dict[str, float]:
    """What a trial logs of a score: an accuracy alone, another score with its standard error.

    Args:
        split: "validation" or "test".
        name: What the score is called.
        value: The score.
        error: Its standard error.
    """
    if name == "accuracy":
        return {f"{split}_accuracy": value}
    return {f"{split}_score": value, f"{split}_error": error}


def measured_error(attributes: Mapping[str, Any], split: str) -> float | None:
    """The standard error that a trial has logged of a score, if it has.

    Args:
        attributes: The trial's user attributes.
        split: "validation" or "test".
    """
    error = read_number(attributes, f"{split}_error")
    return error if error is not None and error >= 0 else None


def examples_of(attributes: Mapping[str, Any], split: str) -> Examples | None:
    """What a trial's accuracies were measured on; None if it does not say.

    Args:
        attributes: The trial's user attributes.
        split: "validation" or "test".
    """
    for kind in _KINDS:
        if number := read_count(attributes, f"{split}_{kind}"):
            return Examples(number, kind)
    return None
