"""Rows of a table in memory, as numbers that a network can read."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optuna_nas.data.split import digest_of

if TYPE_CHECKING:
    from optuna_nas.data.split import Split
    from optuna_nas.data.table_columns import Column


@dataclass(frozen=True, eq=False)
class TableData:
    """A table in three disjoint splits, with one column to be told from the others.

    Attributes:
        name: What was loaded.
        train: The rows to train on: inputs float32, `N d`; targets class numbers, int64, `N`, or
            standardised numbers, float32, `N`.
        validation: The rows to search on; always from the source's training split.
        test: The rows for the final measurement.
        columns: How the columns became the inputs, in their order.
        target: The column that is to be told.
        class_names: The classes by number; empty if the target is a number.
        target_mean: The mean of the target over the training rows; 0 if it is a class.
        target_std: Its standard deviation likewise; 1 if it is a class.
        missing: Words that stand for a missing value, beside an empty field.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    columns: tuple[Column, ...]
    target: str
    class_names: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_std: float = 1.0
    missing: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """The number of classes; 0 if the target is a number."""
        return len(self.class_names)

    @property
    def measured_on(self) -> dict[str, int]:
        """How many rows scores are of, as a trial logs it."""
        return {"validation_rows": len(self.validation), "test_rows": len(self.test)}

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any value, column, class or split."""
        told = [self.target, self.class_names, self.target_mean, self.target_std]
        meaning = [*told, *(column.describe() for column in self.columns)]
        return digest_of(json.dumps(meaning), (self.train, self.validation, self.test))

    def describe(self) -> dict[str, Any]:
        """Return what the data is as plain JSON values, for logs and reports."""
        kinds = Counter(column.kind for column in self.columns)
        return {
            "name": self.name,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "target": self.target,
            "num_classes": self.num_classes,
            "class_names": list(self.class_names),
            "mean": self.target_mean,
            "std": self.target_std,
            "columns": dict(kinds),
            "inputs": sum(column.width for column in self.columns),
            "digest": self.digest,
        }
