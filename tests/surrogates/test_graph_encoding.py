"""Graphs of operations: exact graphs, and what all must have in common."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest

from optuna_nas.spaces import (
    NAS_BENCH_101_OPERATIONS,
    Architecture,
    CellSpace,
    DARTSSpace,
    FlatSpace,
    Genotype,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.surrogates import GraphEncoding, OneHotEncoding, OperationCountEncoding
from optuna_nas.surrogates.graph_encoding import operation_graph

S101, S201, DARTS = NASBench101Space(), NASBench201Space(), DARTSSpace()
CONV3, CONV1, POOL = NAS_BENCH_101_OPERATIONS


def cell_201(*edges: str) -> Architecture:
    return S201.architecture(dict(zip(S201.distributions, edges, strict=True)))


def links(architecture: Architecture) -> set[tuple[str, str]]:
    vertices, edges = operation_graph(architecture)
    return {(vertices[s].label, vertices[t].label) for s, t in edges}


@pytest.mark.parametrize(
    ("space", "vertices", "features"),
    [
        (S101, 7, 3 + 2),
        (S201, 8, 4 + 2),
        (DARTS, 22, 7 + 3 + 2),
        (CellSpace(3, ("a", "b")), 5, 2 + 2),
        (NASBench101Space(4, 3), 4, 3 + 2),
    ],
)
def test_sizes(space: SearchSpace, vertices: int, features: int, rng: np.random.Generator) -> None:
    encoding = GraphEncoding()
    layout = encoding.layout(space)
    assert (layout.vertices, layout.features) == (vertices, features)
    rows = encoding.encode(space, [space.random(rng) for _ in range(20)])
    assert rows.shape == (20, encoding.dimension(space)) == (20, vertices * (features + vertices))
    values, adjacency = layout.unflatten(rows)
    present = adjacency.diagonal(axis1=1, axis2=2)
    assert (np.tril(adjacency, -1) == 0).all()  # every vertex comes after those it reads
    labels = len(layout.operations) + len(layout.roles)
    assert np.array_equal(values[:, :, :labels].sum(axis=2), present)
    assert (adjacency.max(axis=(1, 2)) == 1).all()
    assert (adjacency <= present[:, :, None] * present[:, None, :]).all()
    assert encoding.encode(space, []).shape == (0, rows.shape[1])


def test_the_line_graph_of_nasbench201() -> None:
    # 0>1 conv3x3, 0>2 pool, 1>2 none, 0>3 skip, 1>3 conv1x1, 2>3 none: the pool is dead.
    cell = cell_201("nor_conv_3x3", "avg_pool_3x3", "none", "skip_connect", "nor_conv_1x1", "none")
    assert links(cell) == {
        ("input", "nor_conv_3x3"),
        ("nor_conv_3x3", "nor_conv_1x1"),
        ("nor_conv_1x1", "output"),
        ("input", "skip_connect"),
        ("skip_connect", "output"),
    }
    assert links(cell_201(*["none"] * 6)) == set()
    assert len(operation_graph(cell_201(*["none"] * 6)).vertices) == 2
    full = operation_graph(cell_201(*["nor_conv_3x3"] * 6))
    assert len(full.vertices) == 8
    assert len(full.edges) == 3 + 3 + 4  # from the input, to the output, between edges that meet


def test_graphs_of_nasbench101_are_the_pruned_cells(rng: np.random.Generator) -> None:
    for _ in range(30):
        architecture = S101.random(rng)
        matrix, operations = S101.cell(architecture)
        vertices, edges = operation_graph(architecture)
        found: nx.DiGraph[int] = nx.DiGraph(edges)
        nx.set_node_attributes(found, dict(enumerate(v.label for v in vertices)), "label")
        expected: nx.DiGraph[int] = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
        nx.set_node_attributes(expected, dict(enumerate(operations)), "label")
        assert nx.is_isomorphic(found, expected, node_match=lambda a, b: a["label"] == b["label"])


def test_the_graph_of_a_darts_architecture() -> None:
    plain = (("none", 0), ("none", 1)) * 4
    chain = (
        *(("sep_conv_3x3", 0), ("none", 1)),
        *(("dil_conv_5x5", 2), ("none", 1)),
        *(("none", 0), ("none", 1)),
        *(("none", 0), ("none", 1)),
    )
    architecture = DARTS.from_genotype(Genotype(plain, (2, 3, 4, 5), chain, (2, 3, 4, 5)))
    assert links(architecture) == {
        ("c_{k-2}", "sep_conv_3x3"),
        ("sep_conv_3x3", "dil_conv_5x5"),
        ("sep_conv_3x3", "output"),
        ("dil_conv_5x5", "output"),
    }
    operations = [v for v in operation_graph(architecture).vertices if v.is_operation]
    assert {v.cell for v in operations} == {"reduce"}


@pytest.mark.parametrize("space", [S101, S201, DARTS])
def test_vertices_are_the_live_operations(space: SearchSpace, rng: np.random.Generator) -> None:
    """Every operation lies on a way from an input to an output, and none is missing."""
    cells = [space.random(rng) for _ in range(20)]
    for cell in cells:
        vertices, edges = operation_graph(cell)
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(len(vertices)))
        graph.add_edges_from(edges)
        assert nx.is_directed_acyclic_graph(graph)
        for vertex, (_, _, is_operation) in enumerate(vertices):
            if is_operation:
                assert graph.pred[vertex]
                assert graph.succ[vertex]
    if space is not DARTS:
        layout = GraphEncoding().layout(space)
        values, _ = layout.unflatten(GraphEncoding().encode(space, cells))
        counts = values[:, :, : len(layout.operations)].sum(axis=1)
        assert np.array_equal(counts, OperationCountEncoding().encode(space, cells))


def test_isomorphic_cells_have_isomorphic_graphs() -> None:
    first = np.zeros((5, 5), dtype=int)
    second = np.zeros((5, 5), dtype=int)
    for i, j in ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4)):
        first[i, j] = 1
    for i, j in ((0, 2), (0, 1), (2, 3), (1, 4), (3, 4)):
        second[i, j] = 1
    one = S101.from_matrix(first, ("input", CONV3, CONV1, POOL, "output"))
    two = S101.from_matrix(second, ("input", CONV1, CONV3, POOL, "output"))
    assert one.key == two.key
    assert links(one) == links(two)


def test_a_space_without_operations_is_one_vertex(rng: np.random.Generator) -> None:
    space = FlatSpace(S101.distributions)
    cells = [space.random(rng) for _ in range(5)]
    layout = GraphEncoding().layout(space)
    values, adjacency = layout.unflatten(GraphEncoding().encode(space, cells))
    assert np.array_equal(values[:, 0], OneHotEncoding().encode(space, cells))
    assert adjacency.tolist() == [[[1.0]]] * 5
    assert len(list(combinations(range(7), 2))) + 15 == layout.features


class Overfull(NASBench101Space):
    """Its graph shows more operations than it has parameters for."""

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        nx.add_path(graph, range(12))
        for node in graph:
            graph.nodes[node]["label"] = "input" if node == 0 else "output"
            if 0 < node < 11:
                graph.nodes[node]["operation"] = CONV3
        return graph


def test_more_operations_than_parameters_are_an_error(rng: np.random.Generator) -> None:
    space = Overfull()
    with pytest.raises(ValueError, match="has 12 vertices; Overfull has parameters for 7"):
        GraphEncoding().encode(space, [space.random(rng)])
