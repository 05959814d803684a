"""Labels as class numbers, the same for every split.

Classes are numbered once, from the training split, and other splits are renumbered by the names
of their classes: two files may list the same classes in different orders.
"""

from __future__ import annotations

import datasets
import numpy as np


def read_labels(
    dataset: datasets.Dataset, column: str, *, where: str
) -> tuple[np.ndarray, list[str]]:
    """Read a label column as class numbers.

    A `ClassLabel` column keeps its own classes in its own order, those without rows too. Other
    columns have the classes that occur, sorted: numbers by value, strings alphabetically, without
    the spaces around them. Numbers are whole ones, also if they are stored as `1.0`.

    Args:
        dataset: The table to read.
        column: The label column.
        where: What the table is, for error messages.

    Returns:
        The class number of each row, int64, length n; and the class names by number.

    Raises:
        ValueError: If the table is empty, a label is missing (null, empty, or negative as in the
            unlabelled test splits of the hub), or is a number that is not whole.
    """
    values = dataset.select_columns([column]).with_format("arrow")[:].column(0)
    if len(values) == 0:
        raise ValueError(f"{where} is empty.")
    absent = np.array(values.is_null().to_numpy())
    labels = values.to_numpy()
    if np.issubdtype(labels.dtype, np.number):
        absent |= np.isnan(labels) | (labels < 0)
    elif isinstance(labels[absent.argmin()], str):
        labels = np.array([label and label.strip() for label in labels], dtype=object)
        absent |= labels == ""
    if absent.any():
        raise ValueError(
            f"{where} has no label (null or negative) in {absent.sum()} of its {len(labels)} "
            f"rows, first in row {absent.argmax()} of column {column!r}. If this is a test split "
            "without labels, name another with `test_split`."
        )
    if np.issubdtype(labels.dtype, np.floating):
        labels = _whole(labels, column, where)
    feature = dataset.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return labels.astype(np.int64), list(feature.names)
    classes, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64), [str(name) for name in classes.tolist()]


def _whole(labels: np.ndarray, column: str, where: str) -> np.ndarray:
    """Whole numbers that are stored with decimals, as programs do where some are missing."""
    numbers = labels.astype(np.int64)
    if (wrong := numbers != labels).any():
        raise ValueError(
            f"{where} has no classes in column {column!r}, but numbers such as "
            f"{labels[wrong.argmax()]} in row {wrong.argmax()}; allowed are names and whole "
            "numbers."
        )
    return numbers


def align_labels(
    labels: np.ndarray,
    names: list[str],
    *,
    train_labels: np.ndarray,
    class_names: list[str],
    where: str,
) -> np.ndarray:
    """Renumber the labels of another split by the classes of the training split.

    Args:
        labels: Class numbers of the other split, length n.
        names: Its class names.
        train_labels: Class numbers of the training split.
        class_names: Class names of the training split.
        where: What the other split is, for error messages.

    Returns:
        The class numbers in terms of `class_names`, int64, length n.

    Raises:
        ValueError: If the split has a class without training rows.
    """
    trained = {class_names[number]: number for number in np.unique(train_labels)}
    unknown = [names[number] for number in np.unique(labels) if names[number] not in trained]
    if unknown:
        raise ValueError(
            f"{where} has {len(unknown)} classes without a training example: {unknown[:10]}."
        )
    numbers = np.array([trained.get(name, -1) for name in names], dtype=np.int64)
    return np.take(numbers, labels)
