"""The numbers of a benchmark, and reading them from a parquet file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from optuna_nas._checks import user_path


@dataclass(frozen=True)
class Metric:
    """What was recorded of each training.

    Attributes:
        column: Its column in the file.
        maximize: Whether more is better.
        attribute: The trial user attribute it is logged under.
    """

    column: str
    maximize: bool
    attribute: str


@dataclass(frozen=True)
class Table:
    """The numbers of a benchmark.

    Attributes:
        source: Where they come from.
        columns: For each metric one number per architecture, in the benchmark's own order.
    """

    source: str
    columns: Mapping[str, NDArray[np.float64]]


def located(benchmark: str, path: str | Path | None, variable: str) -> Path | None:
    """Return the file that `path` or else an environment variable names, or None.

    Args:
        benchmark: Name of the benchmark, for the error.
        path: The file as the user named it.
        variable: The environment variable that may name it.

    Raises:
        FileNotFoundError: There is no such file.
    """
    given = path if path is not None else os.environ.get(variable) or None
    if given is None:
        return None
    found = user_path(given)
    if not found.is_file():
        by = "`path`" if path is not None else f"The environment variable {variable}"
        raise FileNotFoundError(
            f"{by} is {str(given)!r}, which is no file; needed is a parquet file with the "
            f"recorded trainings of {benchmark}."
        )
    return found


def read_parquet(path: Path, required: Collection[str], optional: Collection[str] = ()) -> Any:
    """Read columns of a parquet file.

    Args:
        path: The file.
        required: Columns it must have.
        optional: Columns that are read if it has them.

    Returns:
        A `pyarrow.Table`.

    Raises:
        ValueError: The file is damaged or no parquet file, or lacks a required column.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if missing := [name for name in required if name not in names]:
                raise ValueError(
                    f"{str(path)!r} lacks the columns {missing}; needed are {list(required)}, "
                    f"there are {names}."
                )
            wanted = [*required, *(n for n in optional if n in names and n not in required)]
            return file.read(columns=wanted)
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"{str(path)!r} is no intact parquet file ({str(error).splitlines()[0]})."
        ) from error


def numbers(table: Any, column: str, path: Path) -> NDArray[np.float64]:
    """Return a column as float64.

    Raises:
        ValueError: Something in it is not a finite number.
    """
    try:
        values: NDArray[np.float64] = table[column].to_numpy().astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Column {column!r} of {str(path)!r} holds no numbers.") from error
    if not np.isfinite(values).all():
        raise ValueError(
            f"Column {column!r} of {str(path)!r} has {int((~np.isfinite(values)).sum())} values "
            "that are missing or not finite; needed is a number for every architecture."
        )
    return values
