"""Texts and labels in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


@dataclass(frozen=True, eq=False)
class TextSplit:
    """The texts of one split.

    Attributes:
        texts: The texts, `n`.
        labels: Class numbers, int64, `n`.
    """

    texts: Sequence[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class TextData:
    """A data set of labelled texts in three disjoint splits.

    Attributes:
        name: What was loaded.
        train: The texts to train on.
        validation: The texts to search on.
        test: The texts for the final measurement.
        class_names: The classes by number.
    """

    name: str
    train: TextSplit
    validation: TextSplit
    test: TextSplit
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def measured_on(self) -> dict[str, int]:
        """How many texts accuracies are of, as a trial logs it."""
        return {"validation_texts": len(self.validation), "test_texts": len(self.test)}

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any text, label, class or split."""
        found = hashlib.sha256("\0".join(self.class_names).encode())
        for split in (self.train, self.validation, self.test):
            found.update(f"\1{len(split)}\1".encode())
            for text, label in zip(split.texts, split.labels.tolist(), strict=True):
                found.update(f"{label}\0{text}\0".encode("utf-8", "surrogatepass"))
        return found.hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Return what the data is as plain JSON values, for logs and reports."""
        return {
            "name": self.name,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "num_classes": self.num_classes,
            "class_names": list(self.class_names),
            "digest": self.digest,
        }
