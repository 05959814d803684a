"""The graph of operations as columns: exact counts, and what they must not depend on."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import (
    NAS_BENCH_101_OPERATIONS,
    Architecture,
    CellSpace,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.surrogates import (
    ConnectionEncoding,
    OperationCountEncoding,
    StructureEncoding,
)
from optuna_nas.surrogates.connections import SHAPE, connections
from optuna_nas.surrogates.graph_encoding import operation_graph

S101, S201, DARTS = NASBench101Space(), NASBench201Space(), DARTSSpace()
CONV3, CONV1, POOL = NAS_BENCH_101_OPERATIONS
FLAT = FlatSpace({"kind": CategoricalDistribution(("a", "b", "c"))})


def cell_201(*edges: str) -> Architecture:
    return S201.architecture(dict(zip(S201.distributions, edges, strict=True)))


def labelled(architecture: Architecture, cell: str = "") -> Counter[tuple[str, str]]:
    labels, edges, _ = connections(architecture)[cell]
    return Counter((labels[source], labels[target]) for source, target in edges)


def shape_of(architecture: Architecture) -> dict[str, float]:
    space = architecture.space
    encoding = ConnectionEncoding()
    (row,) = encoding.encode(space, [architecture])
    return dict(zip(SHAPE, 3 * row[encoding.parts(space)["shape"]], strict=True))


def test_a_cell_of_nasbench101() -> None:
    matrix = np.zeros((5, 5), dtype=int)
    for edge in [(0, 1), (0, 2), (0, 4), (1, 2), (1, 3), (2, 4), (3, 4)]:
        matrix[edge] = 1
    cell = S101.from_matrix(matrix, ("input", CONV3, CONV3, POOL, "output"))
    assert labelled(cell) == {
        ("cell", CONV3): 2,
        ("cell", "output"): 1,
        (CONV3, CONV3): 1,
        (CONV3, POOL): 1,
        (CONV3, "output"): 1,
        (POOL, "output"): 1,
    }
    (row,) = ConnectionEncoding().encode(S101, [cell])
    # Sources cell, conv3x3, conv1x1, pool; targets conv3x3, conv1x1, pool, output; halves.
    assert (2 * row[:16]).tolist() == [2, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert shape_of(cell) == pytest.approx(
        {
            "operations and ends": 5,
            "connections": 7,
            "log of the paths": math.log(4),
            "longest path": 2,  # conv conv, conv pool; and conv, and none
            "shortest path": 0,
            "mean path": 5 / 4,
            "fan-in of the output": 3,
            "largest fan-in": 3,
            "fan-in 1": 2,
            "fan-in 2": 1,
            "fan-in 3 or more": 1,
            "fan-out of the inputs": 3,
            "largest fan-out": 3,
            "fan-out 1": 2,
            "fan-out 2": 1,
            "fan-out 3 or more": 1,
        }
    )


def test_a_cell_of_nasbench201() -> None:
    # Edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3: the skip from 1 to 2 is left out, 0>2 is cut.
    cell = cell_201("nor_conv_3x3", "none", "skip_connect", "skip_connect", "none", "avg_pool_3x3")
    assert labelled(cell) == {
        ("cell", "nor_conv_3x3"): 1,
        ("nor_conv_3x3", "avg_pool_3x3"): 1,
        ("avg_pool_3x3", "output"): 1,
        ("cell", "output"): 1,
    }
    assert shape_of(cell)["mean path"] == pytest.approx(1)


def test_an_empty_cell_is_all_zeros() -> None:
    empty = cell_201(*["none"] * 6)
    assert not ConnectionEncoding().encode(S201, [empty]).any()
    assert connections(empty)[""].labels == {}


def test_cells_and_inputs_of_darts_are_told_apart() -> None:
    params: dict[str, Any] = dict.fromkeys(DARTS.distributions, "sep_conv_3x3")
    params |= {name: "0,1" for name in DARTS.distributions if name.endswith("inputs")}
    for place in (0, 1):
        params[f"normal/node_2/op_{place}"] = params[f"reduce/node_2/op_{place}"] = "skip_connect"
    cell = DARTS.architecture(params)
    # A skip of the reduction cell halves the resolution and is an operation.
    assert labelled(cell, "normal") == {
        ("input_0", "output"): 1,
        ("input_1", "output"): 1,
        ("input_0", "sep_conv_3x3"): 3,
        ("input_1", "sep_conv_3x3"): 3,
        ("sep_conv_3x3", "output"): 6,
    }
    assert labelled(cell, "reduce") == {
        ("input_0", "skip_connect"): 1,
        ("input_1", "skip_connect"): 1,
        ("skip_connect", "output"): 2,
        ("input_0", "sep_conv_3x3"): 3,
        ("input_1", "sep_conv_3x3"): 3,
        ("sep_conv_3x3", "output"): 6,
    }
    (row,) = ConnectionEncoding().encode(DARTS, [cell])
    parts = ConnectionEncoding().parts(DARTS)
    assert parts == {"connections": slice(0, 2 * 9 * 8), "shape": slice(144, 144 + 32)}
    assert 2 * row[parts["connections"]].sum() == 14 + 16


@pytest.mark.parametrize("space", [S101, CellSpace(4, ("none", "conv", "pool"))])
def test_without_skips_it_is_the_graph_of_operations(
    space: SearchSpace, rng: np.random.Generator
) -> None:
    for architecture in (space.random(rng) for _ in range(50)):
        vertices, edges = operation_graph(architecture)
        ends = {"input": "cell", "output": "output"}
        names = [ends.get(vertex.label, vertex.label) for vertex in vertices]
        assert labelled(architecture) == Counter((names[s], names[t]) for s, t in edges)


def test_the_numbering_of_the_vertices_does_not_matter(rng: np.random.Generator) -> None:
    found = 0
    for _ in range(100):
        cell = S101.random(rng)
        matrix, operations = S101.cell(cell)
        inner = range(1, len(operations) - 1)
        for order in permutations(inner):
            places = [0, *order, len(operations) - 1]
            moved = matrix[np.ix_(places, places)]
            if np.tril(moved).any() or list(order) == list(inner):
                continue
            other = S101.from_matrix(moved, [operations[place] for place in places])
            assert other.key == cell.key
            one, two = StructureEncoding().encode(S101, [cell, other])
            assert one.tolist() == two.tolist()
            found += 1
    assert found > 20


@pytest.mark.parametrize(
    ("space", "columns"),
    [(S101, 3 + 16 + 16), (S201, 4 + 25 + 16), (DARTS, 14 + 144 + 32)],
)
def test_the_structure_is_counts_connections_and_shape(
    space: SearchSpace, columns: int, rng: np.random.Generator
) -> None:
    encoding = StructureEncoding()
    cells = [space.random(rng) for _ in range(4)]
    encoded = encoding.encode(space, cells)
    assert encoded.shape == (4, columns)
    assert encoded.dtype == np.float32
    assert encoding.dimension(space) == columns
    assert encoding.encode(space, []).shape == (0, columns)
    parts = encoding.parts(space)
    counts = OperationCountEncoding().encode(space, cells)
    assert np.array_equal(encoded, np.hstack([counts, ConnectionEncoding().encode(space, cells)]))
    assert list(parts) == ["OperationCountEncoding", "connections", "shape"]


def test_every_space_with_paths_has_a_structure(rng: np.random.Generator) -> None:
    space = EdgeNESSpace()
    encoded = StructureEncoding().encode(space, [space.random(rng) for _ in range(20)])
    assert (encoded.std(axis=0) > 0).sum() > 30


def test_parameters_without_structure_are_an_error() -> None:
    with pytest.raises(ValueError, match="FlatSpace has no operations to connect"):
        ConnectionEncoding().dimension(FLAT)
