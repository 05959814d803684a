"""Columns of a table as numbers, by what the training rows alone say.

1. A column of numbers is standardised: less its mean, divided by its standard deviation (1 if it
   is constant). A missing number becomes the mean, 0; if training rows lack some, a column of its
   own tells which are missing.
2. A column of texts, or of classes, becomes a column for each category of the training rows, 1
   where a row has it. Missing is a category if training rows lack some. A category that no
   training row has is none of them: all zero.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Categorical", "Column", "Numeric", "fit_categorical", "fit_numeric"]

Encoded: TypeAlias = NDArray[np.float32]
"""The numbers of a column, `n k`."""


@dataclass(frozen=True)
class Numeric:
    """A column of numbers.

    Attributes:
        name: Its name.
        mean: The mean of the training rows that have one.
        std: Their standard deviation; 1 for a constant column.
        tells_missing: Whether a second number tells that it is missing.
    """

    name: str
    mean: float
    std: float
    tells_missing: bool

    kind = "numeric"

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return 1 + self.tells_missing

    def encode(self, values: NDArray[Any]) -> Encoded:
        """Encode numbers, `n`, NaN where one is missing, as `n k`."""
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - self.mean) / self.std)
        parts = [scaled, missing] if self.tells_missing else [scaled]
        return np.stack(parts, axis=1).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """The column as JSON values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Categorical:
    """A column of texts.

    Attributes:
        name: Its name.
        categories: The categories, sorted; None stands for a missing one and is the last.
    """

    name: str
    categories: tuple[str | None, ...]

    kind = "categorical"

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return len(self.categories)

    def encode(self, values: NDArray[Any]) -> Encoded:
        """Encode texts, `n`, None where one is missing, as `n k`."""
        place = {category: index for index, category in enumerate(self.categories)}
        encoded = np.zeros((len(values), self.width), dtype=np.float32)
        for row, value in enumerate(values.tolist()):
            if value in place:
                encoded[row, place[value]] = 1
        return encoded

    def describe(self) -> dict[str, Any]:
        """The column as JSON values."""
        return {"kind": self.kind, "name": self.name, "categories": list(self.categories)}


Column: TypeAlias = Numeric | Categorical
"""A column, and how its values become numbers."""


def fit_numeric(name: str, values: NDArray[Any]) -> Numeric:
    """Read how to encode a column of numbers from its training rows.

    Args:
        name: The column.
        values: Its numbers in the training rows, `n`; NaN where one is missing.
    """
    present = values[~np.isnan(values)]
    # Relative to the first one, so that large numbers that differ little do not lose digits.
    offset = present[0]
    mean = float(offset + (present - offset).mean())
    std = float(np.sqrt(np.square(present - mean).mean()))
    constant = (present == offset).all() or not std > 0 or not math.isfinite(std)
    return Numeric(name, mean, 1.0 if constant else std, len(present) < len(values))


def fit_categorical(name: str, values: NDArray[Any]) -> Categorical:
    """Read how to encode a column of texts from its training rows.

    Args:
        name: The column.
        values: Its texts in the training rows, `n`; None where one is missing.
    """
    found = set(values.tolist())
    present = sorted(value for value in found if value is not None)
    return Categorical(name, (*present, None) if None in found else tuple(present))
