"""NAS-Bench-1Shot1: the cells of three spaces for weight sharing, with NAS-Bench-101's trainings.

1. The graphs of the space, each with every choice of operations, have their codes computed
   (:mod:`~optuna_nas.objectives.tabular.cell_codes`); of the recorded cells those are kept.
2. A trial's cell is pruned, and its code looked up.

The file has the mean *test* accuracy only (see
:mod:`~optuna_nas.objectives.tabular.nasbench101`).

Reference: A. Zela, J. Siems, F. Hutter, *NAS-Bench-1Shot1: Benchmarking and Dissecting One-shot
Neural Architecture Search*, ICLR 2020, arXiv 2001.10422.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
from optuna_nas.objectives.tabular.nasbench101 import METRICS, read_cells
from optuna_nas.objectives.tabular.table import Table
from optuna_nas.spaces.nasbench1shot1 import Edges, NASBench1Shot1Space

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture


class NASBench1Shot1(TabularBenchmark):
    """The recorded trainings of one of the three spaces.

    Args:
        number: Which space: 1, 2 or 3.
        path: The file of NAS-Bench-101 (see
            :class:`~optuna_nas.objectives.tabular.nasbench101.NASBench101`); None takes the one
            that the environment variable `OPTUNA_NAS_NASBENCH101` names.
        metric: What is optimised: `"test_accuracy_108"` (per cent), `"parameters"`, or a sequence
            of them.
        constraints: The most parameters, or the least accuracy, by the name of the metric.
        log: Whether trials get all that is recorded as user attributes; it costs time.

    Raises:
        FileNotFoundError: There is no file.
        ValueError: There is no such space, a metric is unknown, or the file is damaged or lacks
            cells.
    """

    space: NASBench1Shot1Space

    def __init__(
        self,
        number: int = 1,
        path: str | Path | None = None,
        metric: str | Sequence[str] = "test_accuracy_108",
        *,
        constraints: Mapping[str, float] | None = None,
        log: bool = False,
    ) -> None:
        space = NASBench1Shot1Space(number)
        recorded, table = read_cells(path, 7)
        self._codes = np.unique(_all_codes(space))
        rows = np.searchsorted(recorded, self._codes)
        kept = Table(table.source, {name: c[rows] for name, c in table.columns.items()})
        super().__init__(space, kept, METRICS, metric=metric, constraints=constraints, log=log)
        self._labels = {operation: label for label, operation in enumerate(space.operations)}

    @property
    def name(self) -> str:
        """What the benchmark is called in tables and figures."""
        return f"NAS-Bench-1Shot1, space {self.space.number}"

    def row(self, architecture: Architecture) -> int:
        """Return the row of the cell's class."""
        edges = self.space.live_edges(architecture)
        labels = NO_VERTEX + sum(
            (self._labels[architecture[f"node_{vertex}_op"]] - ABSENT) * label_digit(vertex)
            for vertex in _inner(edges)
        )
        return int(np.searchsorted(self._codes, code(_bits(edges), labels)))


def _all_codes(space: NASBench1Shot1Space) -> NDArray[np.int64]:
    """The code of each graph of the space with each choice of operations."""
    edges, labels = [], []
    for graph in space.graphs():
        choices = np.array([NO_VERTEX])
        for vertex in _inner(graph):
            digits = (np.arange(len(space.operations)) - ABSENT) * label_digit(vertex)
            choices = (choices[:, None] + digits).ravel()
        labels.append(choices)
        edges.append(np.full(len(choices), _bits(graph)))
    return codes(np.concatenate(edges), np.concatenate(labels))


def _inner(edges: Edges) -> list[int]:
    """The vertices between the input and the output."""
    targets = sorted({target for _, target in edges})
    return targets[:-1]


def _bits(edges: Edges) -> int:
    """The edges as bits, with the output in its own place."""
    last = edges[-1][1]
    return sum(1 << edge_bit(s, OUTPUT if t == last else t) for s, t in edges)
