"""One split of a table: its columns as arrays, and its target as classes or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray

from optuna_nas._choices import choose
from optuna_nas.data.delimited import typed
from optuna_nas.data.labels import align_labels
from optuna_nas.data.table_columns import Column, fit_categorical, fit_numeric

__all__ = ["TableRows"]

_MOST_CLASSES = 10
"""Whole numbers with more different values than this are numbers, not classes."""

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class TableRows:
    """One split of a source: its columns as arrays, and its target.

    Attributes:
        columns: By name numbers (float64, NaN where missing) or texts (None where missing), `n`.
        target: The column to tell.
        values: The target: class numbers, int64, or numbers, float64, `n`.
        class_names: The classes by number; empty if the target is a number.
        where: What the table is, for error messages.
    """

    columns: dict[str, NDArray[Any]]
    target: str
    values: NDArray[Any]
    class_names: list[str]
    where: str

    @property
    def kind(self) -> str:
        """What the target makes of it: classification or regression."""
        return "classification" if self.class_names else "regression"

    @property
    def strata(self) -> NDArray[Any]:
        """What rows are drawn in proportion to: the classes, if there are any."""
        return self.values if self.class_names else np.zeros(len(self.values), dtype=np.int64)

    @classmethod
    def read(
        cls,
        dataset: datasets.Dataset,
        target: str,
        kind: str | None,
        drop: Sequence[str],
        missing: Sequence[str],
        where: str,
    ) -> TableRows:
        """Read a table; see :func:`optuna_nas.data.load_table`."""
        names = list(dataset.features)
        if target not in names:
            raise ValueError(f"`target`={target!r} is not a column of {where}: {names}.")
        whole = dataset.with_format("arrow")[:]
        columns = {
            name: _values(whole.column(name), dataset.features[name], name, missing, where)
            for name in names
            if name not in drop
        }
        if len(columns) < 2:
            raise ValueError(f"{where} has no column beside the target {target!r}.")
        values, class_names = _read_target(columns.pop(target), target, kind, where)
        return cls(columns, target, values, class_names, where)

    def like(self, train: TableRows) -> TableRows:
        """The same with the columns and the class numbers of the training table."""
        for name, column in train.columns.items():
            if name not in self.columns:
                raise ValueError(
                    f"{self.where} lacks the column {name!r} of {train.where}; leave it out with "
                    "`drop`."
                )
            if self.columns[name].dtype != column.dtype and not _is_empty(self.columns[name]):
                raise ValueError(
                    f"The column {name!r} holds {_kind_of(self.columns[name])} in {self.where}, "
                    f"and {_kind_of(column)} in {train.where}."
                )
        if not train.class_names:
            return self
        values = align_labels(
            self.values,
            self.class_names,
            train_labels=train.values,
            class_names=train.class_names,
            where=self.where,
        )
        return replace(self, values=values, class_names=train.class_names)

    def check_target(self, rows: NDArray[Any]) -> None:
        """Refuse a target of one value, and training rows that lack a class."""
        different = np.unique(self.values)
        if len(different) < 2:
            value = self.class_names[different[0]] if self.class_names else different[0]
            raise ValueError(
                f"The target {self.target!r} of {self.where} has only one value, {value!r}; two "
                "are needed."
            )
        if not self.class_names:
            if len(np.unique(self.values[rows])) < 2:
                raise ValueError(
                    f"The {len(rows)} training rows drawn from {self.where} have one value of the "
                    f"target {self.target!r}; two are needed. Raise `train_size`."
                )
            return
        if len(lost := np.setdiff1d(self.values, self.values[rows])):
            names = [self.class_names[number] for number in lost[:_SHOWN]]
            raise ValueError(
                f"The {len(rows)} training rows drawn from {self.where} have none of the classes "
                f"{names} of {self.target!r}. Raise `train_size`, lower `validation_size` or "
                "`test_size`, or leave out classes of so few rows."
            )

    def fit(self, rows: NDArray[Any], max_categories: int) -> list[Column]:
        """Read from the training rows how columns are encoded."""
        found: list[Column] = []
        for name, values in self.columns.items():
            taken = values[rows]
            if _is_empty(taken):
                raise ValueError(
                    f"The column {name!r} of {self.where} has no value in any of the {len(rows)} "
                    "training rows; leave it out with `drop`."
                )
            if values.dtype != object:
                found.append(fit_numeric(name, taken))
                continue
            column = fit_categorical(name, taken)
            if column.width > max_categories:
                raise ValueError(
                    f"The column {name!r} of {self.where} has {column.width} different texts in "
                    f"{len(rows)} training rows ({_examples(column.categories)}); allowed are "
                    f"`max_categories`={max_categories}. Leave it out with `drop`; or, if it is "
                    "of numbers beside words for missing ones, name these with `missing`."
                )
            found.append(column)
        return found

    def target_statistics(self, rows: NDArray[Any]) -> tuple[float, float]:
        """Mean and standard deviation of the target over the training rows; 0 and 1 of classes."""
        if self.class_names:
            return 0.0, 1.0
        fitted = fit_numeric(self.target, self.values[rows])
        return fitted.mean, fitted.std

    def inputs(self, columns: Sequence[Column], rows: NDArray[Any]) -> torch.Tensor:
        """The encoded rows, float32, `n d`."""
        parts = [column.encode(self.columns[column.name][rows]) for column in columns]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def targets(self, rows: NDArray[Any], mean: float, std: float) -> torch.Tensor:
        """The targets of rows: class numbers, or standardised numbers; `n`."""
        if self.class_names:
            return torch.from_numpy(self.values[rows])
        return torch.from_numpy(((self.values[rows] - mean) / std).astype(np.float32))


def _values(
    column: Any, feature: Any, name: str, missing: Sequence[str], where: str
) -> NDArray[Any]:
    """The values of a column: float64 with NaN for a missing number, or texts with None."""
    if isinstance(feature, datasets.ClassLabel):
        numbers = column.to_pylist()
        return _texts([None if n is None or n < 0 else feature.names[n] for n in numbers])
    dtype = feature.dtype if isinstance(feature, datasets.Value) else ""
    values = column.to_pylist()
    if dtype.startswith(("string", "large_string")):
        fields = [None if text is None or text.strip() in missing else text for text in values]
        if any(isinstance(value, str) for value in (typed(fields) if missing else fields)):
            return _texts(fields)
        values = [None if field is None else float(field) for field in fields]
    elif not dtype.startswith(("int", "uint", "float", "double", "bool", "decimal", "null")):
        found = dtype or type(feature).__name__
        raise ValueError(
            f"The column {name!r} of {where} holds {found}, neither numbers nor texts; leave it "
            "out with `drop`."
        )
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    numbers[np.isin(numbers, [float(word) for word in missing if _is_number(word)])] = np.nan
    if np.isinf(numbers).any():
        row = int(np.isinf(numbers).argmax())
        raise ValueError(f"The column {name!r} of {where} is infinite in row {row}.")
    return numbers


def _texts(values: Sequence[str | None]) -> NDArray[Any]:
    stripped = [None if value is None else value.strip() or None for value in values]
    return np.array(stripped, dtype=object)


def _is_number(word: str) -> bool:
    return not isinstance(typed([word])[0], str)


def _read_target(
    values: NDArray[Any], target: str, kind: str | None, where: str
) -> tuple[NDArray[Any], list[str]]:
    """The target as class numbers with their names, or as numbers without any."""
    absent = _absent(values)
    if len(values) == 0:
        raise ValueError(f"{where} is empty.")
    if absent.any():
        raise ValueError(
            f"The target {target!r} of {where} is missing in {absent.sum()} of its {len(values)} "
            f"rows, first in row {absent.argmax()}; leave these rows out."
        )
    if kind is None:
        kind = "classification" if _is_class(values) else "regression"
    if choose("kind", kind, {"classification": True, "regression": False}):
        classes, numbers = np.unique(values, return_inverse=True)
        names = [f"{c:.17g}" if isinstance(c, float) else str(c) for c in classes.tolist()]
        return numbers.astype(np.int64), names
    if values.dtype == object:
        raise ValueError(
            f"`kind` is 'regression', but the target {target!r} of {where} holds texts, such as "
            f"{values[0]!r}."
        )
    return values, []


def _is_class(values: NDArray[Any]) -> bool:
    if values.dtype == object:
        return True
    different = np.unique(values)
    return len(different) <= _MOST_CLASSES and bool((different == np.round(different)).all())


def _absent(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype != object:
        return np.array(np.isnan(values))
    return np.array([value is None for value in values.tolist()], dtype=bool)


def _is_empty(values: NDArray[Any]) -> bool:
    return bool(_absent(values).all())


def _kind_of(values: NDArray[Any]) -> str:
    return "texts" if values.dtype == object else "numbers"


def _examples(categories: Sequence[str | None]) -> str:
    return ", ".join(repr(category) for category in categories[:_SHOWN]) + ", ..."
