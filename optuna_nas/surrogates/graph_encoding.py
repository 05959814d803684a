"""Architectures as graphs of operations, flattened to the rows of a matrix.

1. Every operation is a vertex, wherever the space has it: an operation on an edge becomes a vertex
   between those it connects. Inputs and outputs of a cell are vertices too. What remains, a node
   that adds what arrives there, is left out and its neighbours are connected directly.
2. `none` cuts the graph, and operations on no way from an input to an output are left out.
3. A vertex is described by its operation or its role (input, output), and by its cell if the
   space has several. A row holds the features of all vertices, `N x F`, and the adjacency
   `N x N` with a one for each edge and on the diagonal for each vertex that exists.

The size is fixed by the space: 7 vertices for NAS-Bench-101, 8 for NAS-Bench-201 (its line graph),
22 for DARTS.

A space without operations (:class:`~optuna_nas.spaces.FlatSpace`) has no graph to speak of: its
architectures are a single vertex that carries their one-hot columns, so that a graph network
becomes an ordinary one.

Reference: the graphs of W. Wen et al., *Neural Predictor for Neural Architecture Search*, ECCV
2020, arXiv 1912.00848.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx
import numpy as np

from optuna_nas.surrogates.encodings import Encoding, OneHotEncoding
from optuna_nas.surrogates.operation_counts import operation_parameters, operations_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna_nas.spaces import Architecture, SearchSpace


class Vertex(NamedTuple):
    """A vertex of the graph of operations.

    Attributes:
        label: The operation, or the role of an input or output.
        cell: The cell it belongs to; empty in a space of one cell.
        is_operation: Whether it is an operation.
    """

    label: str
    cell: str
    is_operation: bool


class OperationGraph(NamedTuple):
    """The operations of an architecture that matter, and what each reads.

    Attributes:
        vertices: The vertices, every one after those it reads.
        edges: Pairs of positions in `vertices`, source and target.
    """

    vertices: list[Vertex]
    edges: list[tuple[int, int]]


class GraphLayout(NamedTuple):
    """How the rows of a space are read.

    Attributes:
        vertices: The number of vertices a row has room for, `N`.
        operations: The operations.
        roles: The labels of inputs and outputs.
        cells: The cells; empty in a space of one cell.
        features: The number of features of a vertex, `F`.
    """

    vertices: int
    operations: tuple[str, ...]
    roles: tuple[str, ...]
    cells: tuple[str, ...]
    features: int

    def unflatten(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The features `n x N x F` and the adjacency `n x N x N` of `n` rows."""
        cut = self.vertices * self.features
        return (
            rows[:, :cut].reshape(-1, self.vertices, self.features),
            rows[:, cut:].reshape(-1, self.vertices, self.vertices),
        )


class GraphEncoding(Encoding):
    """Features and adjacency of the graph of operations, one after the other."""

    def layout(self, space: SearchSpace) -> GraphLayout:
        """How the rows of a space are read."""
        operations = operations_of(space)
        if not operations:
            return GraphLayout(1, (), (), (), OneHotEncoding().dimension(space))
        example = space.graph(space.random(np.random.default_rng(0)))
        ends = [(label, cell) for node, label, cell in _nodes(example) if _is_end(example, node)]
        roles = tuple(sorted({label for label, _ in ends}))
        cells = tuple(sorted({cell for _, cell in ends}))
        cells = cells if len(cells) > 1 else ()
        slots = space.num_operations or len(operation_parameters(space))
        features = len(operations) + len(roles) + len(cells)
        return GraphLayout(len(ends) + slots, operations, roles, cells, features)

    def dimension(self, space: SearchSpace) -> int:
        """`N (F + N)`."""
        layout = self.layout(space)
        return layout.vertices * (layout.features + layout.vertices)

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`.

        Raises:
            ValueError: The space's graphs have more operations than it has parameters for them.
        """
        layout = self.layout(space)
        if not layout.operations:
            columns = OneHotEncoding().encode(space, architectures)
            return np.column_stack([columns, np.ones(len(architectures), dtype=np.float32)])
        size = layout.vertices
        labels = {label: i for i, label in enumerate((*layout.operations, *layout.roles))}
        cells = {cell: len(labels) + i for i, cell in enumerate(layout.cells)}
        features = np.zeros((len(architectures), size, layout.features), dtype=np.float32)
        adjacency = np.zeros((len(architectures), size, size), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            vertices, edges = operation_graph(architecture)
            if len(vertices) > size:
                raise ValueError(
                    f"The graph of {architecture} has {len(vertices)} vertices; {space.name} has "
                    f"parameters for {size}."
                )
            for place, vertex in enumerate(vertices):
                features[row, place, labels[vertex.label]] = 1
                adjacency[row, place, place] = 1
                if cells:
                    features[row, place, cells[vertex.cell]] = 1
            for source, target in edges:
                adjacency[row, source, target] = 1
        flat = features.reshape(len(features), size * layout.features)
        return np.hstack([flat, adjacency.reshape(len(features), size**2)])


def operation_graph(architecture: Architecture) -> OperationGraph:
    """Reduce the graph of an architecture to the operations on a way from input to output."""
    graph = architecture.space.graph(architecture)
    zeros = {block.zero for block in architecture.space.path_blocks.values()}
    vertices: list[Vertex] = []
    reads: list[set[int]] = []
    arriving: dict[Any, set[int]] = {node: set() for node in graph}

    def add(vertex: Vertex, sources: set[int]) -> set[int]:
        vertices.append(vertex)
        reads.append(sources)
        return {len(vertices) - 1}

    for node in nx.topological_sort(graph):
        label, cell = _label(graph, node)
        passed = arriving[node]
        if "operation" in graph.nodes[node]:
            passed = add(Vertex(graph.nodes[node]["operation"], cell, True), passed)
        elif _is_end(graph, node):
            passed = add(Vertex(label, cell, False), passed)
        for target, attributes in graph.succ[node].items():
            operation = attributes.get("operation")
            if operation is None:
                arriving[target] |= passed
            elif operation not in zeros:
                arriving[target] |= add(Vertex(operation, cell, True), passed)
    return _alive(vertices, reads)


def _alive(vertices: list[Vertex], reads: list[set[int]]) -> OperationGraph:
    """All inputs and outputs, and the operations on a way from an input to an output."""
    fed: set[int] = set()
    for vertex, sources in enumerate(reads):  # sources come first, so one sweep follows all ways
        if sources & fed or not (sources or vertices[vertex].is_operation):
            fed.add(vertex)
    ends = {v for v, vertex in enumerate(vertices) if not vertex.is_operation}
    used = set(ends)
    for vertex in range(len(vertices) - 1, -1, -1):
        if vertex in used:
            used |= reads[vertex]
    places = {v: place for place, v in enumerate(sorted(ends | (fed & used)))}
    edges = [(places[s], places[v]) for v in places for s in sorted(reads[v]) if s in places]
    return OperationGraph([vertices[v] for v in places], edges)


def _nodes(graph: nx.DiGraph[Any]) -> list[tuple[Any, str, str]]:
    return [(node, *_label(graph, node)) for node in graph]


def _label(graph: nx.DiGraph[Any], node: Any) -> tuple[str, str]:
    attributes = graph.nodes[node]
    return attributes.get("label", ""), attributes.get("cell", "")


def _is_end(graph: nx.DiGraph[Any], node: Any) -> bool:
    """Whether a node is an input or an output of a cell."""
    return "operation" not in graph.nodes[node] and not (graph.pred[node] and graph.succ[node])
