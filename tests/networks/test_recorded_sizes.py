"""Sizes against those that the benchmarks recorded, for whoever has their tables.

`OPTUNA_NAS_NASBENCH101` and `OPTUNA_NAS_NASBENCH201` name parquet files with one row a cell:
`adj_bits` (bit x + y (y - 1) / 2 is the edge x -> y), `ops` (one digit for each inner vertex, in
the order of the space's operations) and `params`; and `arch`, `cifar10_params`, `cifar10_flops`
and `params_quirk` (the recorded size is that of another cell).
"""

from __future__ import annotations

import os
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from optuna_nas.networks import build_network, count_macs, count_parameters
from optuna_nas.spaces import NASBench101Space, NASBench201Space

NUMBER = 1_000


def rows_of(variable: str, columns: list[str]) -> list[dict[str, Any]]:
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} names no table.")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path, columns=columns)
    chosen = np.random.default_rng(0).choice(len(table), NUMBER, replace=False)
    rows: list[dict[str, Any]] = table.take(chosen).to_pylist()
    return rows


@pytest.mark.slow
def test_nasbench101_parameters() -> None:
    space = NASBench101Space()
    for row in rows_of("OPTUNA_NAS_NASBENCH101", ["adj_bits", "ops", "params"]):
        inner = [space.operations[int(digit)] for digit in row["ops"]]
        matrix = np.zeros((len(inner) + 2,) * 2, dtype=int)
        for y in range(len(matrix)):
            for x in range(y):
                matrix[x, y] = row["adj_bits"] >> (x + y * (y - 1) // 2) & 1
        with torch.device("meta"):
            architecture = space.from_matrix(matrix, ["input", *inner, "output"])
            network = build_network(architecture, num_classes=10)
        assert count_parameters(network) == row["params"], row


@pytest.mark.slow
def test_nasbench201_parameters_and_macs() -> None:
    space = NASBench201Space()
    columns = ["arch", "cifar10_params", "cifar10_flops", "params_quirk"]
    measured = 0
    for position, row in enumerate(rows_of("OPTUNA_NAS_NASBENCH201", columns)):
        if row["params_quirk"]:
            continue
        architecture = space.parse(row["arch"])
        with torch.device("meta"):
            network = build_network(architecture, num_classes=10)
        assert count_parameters(network) == row["cifar10_params"], row
        graph = nx.DiGraph([e for e in space.edges if space.operation(architecture, e) != "none"])
        graph.add_nodes_from(range(4))
        everything_matters = all(
            nx.has_path(graph, 0, source) and nx.has_path(graph, target, 3)
            for source, target in graph.edges
        )
        if everything_matters and position % 10 == 0:  # the benchmark counts dead edges too
            assert count_macs(network, (3, 32, 32)) == row["cifar10_flops"], row
            measured += 1
    assert measured > 20
