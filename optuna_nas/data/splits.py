"""Which rows of the source become training, validation and test examples.

Parts of a table are disjoint, seeded and stratified by class:

1. Shuffle the rows and queue them up by class.
2. For each part in turn, share its size out over the classes in proportion to the rows they have
   left (largest remainder: every class gets the floor or the ceiling of its exact share).
3. Take that many rows from the front of each queue, and shuffle the part.

Parts are taken in the order test, validation, training, so the rows of a part do not depend on
the sizes of those after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_integer(name: str, value: int | None, *, least: int) -> None:
    """Check an integer argument; None stands for a default.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is less than `least`.
    """
    if value is None:
        return
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be an integer, got {value!r}.")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}, got {value}.")


@dataclass(frozen=True)
class SplitSizes:
    """How many examples each split is to have.

    Attributes:
        train: The number of training examples, or None for all that are left.
        validation: The number of validation examples, or None for a fraction.
        test: The number of test examples, or None for the whole test split, or for a fraction of
            the training split if there is no test split.
        validation_fraction: The share of validation examples among those of training and
            validation, so that 4,000 training examples come with 1,000 for validation at 0.2.
        test_fraction: The share of test examples in the training split, if there is no test split.

    Raises:
        TypeError: If a number is not of its type.
        ValueError: If a size is less than 1, or a fraction is not between 0 and 1.
    """

    train: int | None = None
    validation: int | None = None
    test: int | None = None
    validation_fraction: float = 0.2
    test_fraction: float = 0.2

    def __post_init__(self) -> None:
        check_integer("train_size", self.train, least=1)
        check_integer("validation_size", self.validation, least=1)
        check_integer("test_size", self.test, least=1)
        for name in ("validation_fraction", "test_fraction"):
            fraction = getattr(self, name)
            if not 0 < fraction < 1:
                raise ValueError(f"`{name}` must be between 0 and 1, got {fraction}.")

    def train_and_validation(self, available: int) -> tuple[int, int]:
        """Return the numbers of training and validation examples out of those available.

        Raises:
            ValueError: If there are too few; the message has the numbers.
        """
        if self.validation is not None:
            validation = self.validation
        elif self.train is None:
            validation = max(1, round(available * self.validation_fraction))
        else:
            ratio = self.validation_fraction / (1 - self.validation_fraction)
            validation = max(1, round(self.train * ratio))
        train = available - validation if self.train is None else self.train
        if train < 1 or train + validation > available:
            raise ValueError(
                f"The training split has {available} examples to train and validate on, but "
                f"{max(train, 1)} to train and {validation} to validate on are asked for "
                f"(`train_size`={self.train}, `validation_size`={self.validation}, "
                f"`validation_fraction`={self.validation_fraction})."
            )
        return train, validation


class SplitRows(NamedTuple):
    """The row numbers of each split; test rows refer to the test table if there is one."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def draw_rows(
    train_labels: np.ndarray, test_labels: np.ndarray | None, sizes: SplitSizes, seed: int
) -> SplitRows:
    """Draw the rows of each split.

    Args:
        train_labels: The class of each row of the source's training split.
        test_labels: The class of each row of its test split, or None to draw test rows from the
            training split, before all others.
        sizes: How many rows to draw. A whole test split is taken in its own order.
        seed: Draws the rows.

    Returns:
        The rows; those drawn from one table are disjoint.

    Raises:
        ValueError: If there are too few rows.
    """
    rng, test_rng = np.random.default_rng(seed).spawn(2)
    labels = train_labels if test_labels is None else test_labels
    if sizes.test is not None and sizes.test > len(labels):
        raise ValueError(
            f"`test_size`={sizes.test}, but there are {len(labels)} examples to test on."
        )
    if test_labels is None:
        test = sizes.test or max(1, round(len(train_labels) * sizes.test_fraction))
        train, validation = sizes.train_and_validation(len(train_labels) - test)
        parts = stratified_parts(train_labels, [test, validation, train], rng)
        return SplitRows(test=parts[0], validation=parts[1], train=parts[2])
    train, validation = sizes.train_and_validation(len(train_labels))
    parts = stratified_parts(train_labels, [validation, train], rng)
    test_rows = np.arange(len(test_labels))
    if sizes.test is not None:
        (test_rows,) = stratified_parts(test_labels, [sizes.test], test_rng)
    return SplitRows(test=test_rows, validation=parts[0], train=parts[1])


def stratified_parts(
    labels: np.ndarray, sizes: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw disjoint parts of a table, each with the classes in the table's proportions.

    Args:
        labels: The class of each row, length n.
        sizes: The number of rows of each part, n in total at most.
        rng: The source of randomness.

    Returns:
        The row numbers of each part, in random order.
    """
    _, class_of_row, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = rng.permutation(len(labels))
    grouped = order[np.argsort(class_of_row[order], kind="stable")]
    fronts = np.cumsum(counts) - counts  # where each class's queue begins in `grouped`
    left = counts.copy()
    parts = []
    for size in sizes:
        quotas = _share_out(size, left)
        rows = [grouped[i : i + quota] for i, quota in zip(fronts, quotas, strict=True)]
        parts.append(rng.permutation(np.concatenate(rows)))
        fronts, left = fronts + quotas, left - quotas
    return parts


def _share_out(size: int, available: np.ndarray) -> np.ndarray:
    """Share `size` out in proportion to `available` by largest remainder, never beyond it."""
    quotas, remainders = np.divmod(size * available, available.sum())
    rest = size - int(quotas.sum())
    quotas[np.argsort(-remainders, kind="stable")[:rest]] += 1
    return quotas
