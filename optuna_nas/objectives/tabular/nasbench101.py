"""NAS-Bench-101: all 423,624 cells, trained on CIFAR-10 for 108 epochs.

1. The file has one cell of each class of isomorphic ones. The codes of all rows
   (:mod:`~optuna_nas.objectives.tabular.cell_codes`) are computed and sorted once.
2. A trial's cell is pruned to what lies between input and output, and its code looked up.

The file has the mean *test* accuracy only, so searches look at the test images: good for comparing
samplers, not for reporting an accuracy.

Reference: C. Ying et al., *NAS-Bench-101: Towards Reproducible Neural Architecture Search*,
ICML 2019, arXiv 1902.09635.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.objectives.tabular.benchmark import TabularBenchmark
from optuna_nas.objectives.tabular.cell_codes import (
    ABSENT,
    NO_VERTEX,
    OUTPUT,
    code,
    codes,
    edge_bit,
    label_digit,
)
from optuna_nas.objectives.tabular.table import Metric, Table, located, numbers, read_parquet
from optuna_nas.spaces.nasbench101 import NAS_BENCH_101_OPERATIONS, NASBench101Space

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture

PATH_VARIABLE = "OPTUNA_NAS_NASBENCH101"
"""Environment variable with the path of the parquet file."""

METRICS: dict[str, Metric] = {
    "test_accuracy_108": Metric("test_acc_108", True, "test_accuracy"),
    "parameters": Metric("params", False, "parameters"),
}
_CELLS = {3: 7, 4: 91, 5: 2_532, 6: 64_542, 7: 423_624}
"""How many cells of at most so many vertices and nine edges there are."""
_MAX_EDGES = 9
_KEYS = ("num_vertices", "adj_bits", "ops")


class NASBench101(TabularBenchmark):
    """The recorded trainings of NAS-Bench-101.

    The parquet file has the columns `num_vertices`, `adj_bits` (bit `x + y (y - 1) / 2` is the
    edge from `x` to `y`), `ops` (a digit for each inner vertex: 0 conv3x3, 1 conv1x1, 2
    maxpool3x3), `test_acc_108` and `params`, and a row for each cell.

    Args:
        path: The file; None takes the one that the environment variable `OPTUNA_NAS_NASBENCH101`
            names.
        metric: What is optimised: `"test_accuracy_108"` (per cent), `"parameters"`, or a sequence
            of them.
        max_vertices: The most vertices of a cell, 3 to 7; fewer make a smaller benchmark.
        constraints: The most parameters, or the least accuracy, by the name of the metric.
        log: Whether trials get all that is recorded as user attributes; it costs time.

    Raises:
        FileNotFoundError: There is no file.
        ValueError: A metric is unknown, or the file is damaged or lacks cells.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        metric: str | Sequence[str] = "test_accuracy_108",
        *,
        max_vertices: int = 7,
        constraints: Mapping[str, float] | None = None,
        log: bool = False,
    ) -> None:
        if max_vertices not in _CELLS:
            raise ValueError(
                f"`max_vertices` is {max_vertices!r}; allowed are {', '.join(map(str, _CELLS))}."
            )
        self._codes, table = read_cells(path, max_vertices)
        space = NASBench101Space(max_vertices, _MAX_EDGES)
        super().__init__(space, table, METRICS, metric=metric, constraints=constraints, log=log)
        last = max_vertices - 1
        places = [*range(last), OUTPUT]
        self._last = last
        self._edges = [
            (i, j, 1 << edge_bit(places[i], places[j]), f"edge_{i}_{j}") for i, j in space.edges
        ]
        labels = {operation: i for i, operation in enumerate(NAS_BENCH_101_OPERATIONS)}
        # Relative to an absent vertex, so that only present ones count.
        self._labels = [
            (v, f"op_{v}", {o: (i - ABSENT) * label_digit(v) for o, i in labels.items()})
            for v in range(1, last)
        ]

    @property
    def name(self) -> str:
        """What the benchmark is called in tables and figures."""
        limit = self._last + 1
        return "NAS-Bench-101" if limit == 7 else f"NAS-Bench-101, up to {limit} vertices"

    def row(self, architecture: Architecture) -> int:
        """Return the row of the cell's class."""
        wanted = code(*self._pruned(architecture))
        row = int(np.searchsorted(self._codes, wanted))
        if row == len(self._codes) or self._codes[row] != wanted:
            raise ValueError(f"{architecture} is no cell of {self.space!r}.")
        return row

    def _pruned(self, architecture: Architecture) -> tuple[int, int]:
        """The edges between vertices that lie between input and output, and the labels there."""
        edges = [edge for edge in self._edges if architecture[edge[3]]]
        forward, backward = 1, 1 << self._last
        for i, j, _, _ in edges:  # by source, so one sweep follows every path
            forward |= (forward >> i & 1) << j
        for i, j, _, _ in reversed(edges):
            backward |= (backward >> j & 1) << i
        alive = forward & backward
        bits = sum(bit for i, j, bit, _ in edges if alive >> i & alive >> j & 1)
        labels = NO_VERTEX + sum(
            digits[architecture[name]] for v, name, digits in self._labels if alive >> v & 1
        )
        return bits, labels


def read_cells(path: str | Path | None, max_vertices: int) -> tuple[NDArray[np.int64], Table]:
    """Read the sorted codes of the cells, and the table in that order.

    Args:
        path: The file; None takes the one that the environment variable names.
        max_vertices: The most vertices of a cell, 3 to 7.

    Raises:
        FileNotFoundError: There is no file.
        ValueError: The file is damaged or lacks cells.
    """
    file = located("NAS-Bench-101", path, PATH_VARIABLE)
    if file is None:
        raise FileNotFoundError(
            "There are no recorded trainings of NAS-Bench-101 here. Name a parquet file with "
            f"`path` or with the environment variable {PATH_VARIABLE}; it needs the columns "
            f"{[*_KEYS, *(m.column for m in METRICS.values())]}."
        )
    return _read(file, max_vertices)


def _read(path: Path, max_vertices: int) -> tuple[NDArray[np.int64], Table]:
    data = read_parquet(path, _KEYS, [metric.column for metric in METRICS.values()])
    sizes = numbers(data, "num_vertices", path).astype(np.int64)
    kept = sizes <= max_vertices
    if int(kept.sum()) != _CELLS[max_vertices]:
        raise ValueError(
            f"{str(path)!r} has {int(kept.sum())} cells of at most {max_vertices} vertices; "
            f"needed are all {_CELLS[max_vertices]}."
        )
    bits = numbers(data, "adj_bits", path).astype(np.int64)[kept]
    labels, counts = _labels(data["ops"], path)
    edges = _edges(bits, sizes[kept], counts[kept], path)
    keys = codes(edges, labels[kept])
    order = np.argsort(keys)
    keys = keys[order]
    if (keys[1:] == keys[:-1]).any():
        raise ValueError(f"{str(path)!r} has isomorphic cells; needed is one of each class.")
    columns = {
        name: numbers(data, metric.column, path)[kept][order]
        for name, metric in METRICS.items()
        if metric.column in data.column_names
    }
    return keys, Table(str(path), columns)


def _labels(operations: Any, path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The labels of each row as a number, and how many vertices have one."""
    encoded = operations.combine_chunks().dictionary_encode(null_encoding="encode")
    texts = [str(text) for text in encoded.dictionary.to_pylist()]
    if wrong := [t for t in texts if len(t) > OUTPUT - 1 or set(t) - set("012")]:
        raise ValueError(
            f"Column 'ops' of {str(path)!r} has {wrong[0]!r}; needed are up to five digits 0 "
            "(conv3x3), 1 (conv1x1) or 2 (maxpool3x3)."
        )
    labels = [
        NO_VERTEX + sum((int(d) - ABSENT) * label_digit(v) for v, d in enumerate(text, start=1))
        for text in texts
    ]
    which = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return np.array(labels)[which], np.array([len(text) for text in texts])[which]


def _edges(
    bits: NDArray[np.int64], sizes: NDArray[np.int64], counts: NDArray[np.int64], path: Path
) -> NDArray[np.int64]:
    """The edges of each row, with the output in its own place instead of the last one's.

    Raises:
        ValueError: A row is not a pruned cell.
    """
    of_size = np.arange(OUTPUT + 2)
    first_of_output = (of_size * (of_size - 3) // 2 + 1)[sizes]  # bit of the edge input -> output
    behind_output = (of_size * (of_size - 1) // 2)[sizes]
    good = (sizes >= 2) & (counts == sizes - 2) & (bits >= 0) & (bits >> behind_output == 0)
    for vertex in range(OUTPUT + 1):
        out = sum(1 << edge_bit(vertex, j) for j in range(vertex + 1, OUTPUT + 1))
        into = sum(1 << edge_bit(i, vertex) for i in range(vertex))
        good &= (vertex >= sizes - 1) | (bits & out != 0)
        good &= (vertex == 0) | (vertex >= sizes) | (bits & into != 0)
    number = sum(bits >> bit & 1 for bit in range(edge_bit(0, OUTPUT + 1)))
    good &= number <= _MAX_EDGES
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"{str(path)!r} has a cell of {sizes[row]} vertices with `adj_bits` {bits[row]} and "
            f"{counts[row]} operations, which is no pruned cell of at most {_MAX_EDGES} edges."
        )
    inner: NDArray[np.int64] = bits & ((1 << first_of_output) - 1)
    return inner | (bits >> first_of_output << edge_bit(0, OUTPUT))
