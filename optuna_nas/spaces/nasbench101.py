"""The cell space of NAS-Bench-101: operations on the vertices of any small graph.

Vertex 0 is the cell's input and the last vertex its output. Every pair `i < j` may have an edge;
every inner vertex carries an operation. Vertices that are not on a path from input to output are
pruned, so cells with fewer vertices are in the space too. A cell is valid if its output is
reached and at most `max_edges` edges are left after pruning.

Reference: C. Ying et al., *NAS-Bench-101: Towards Reproducible Neural Architecture Search*,
ICML 2019, arXiv 1902.09635.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx
import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.base import InvalidArchitectureError
from optuna_nas.spaces.canonical import canonical_form
from optuna_nas.spaces.graph import GraphSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

NAS_BENCH_101_OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")

_MOST_VERTICES = 16
"""With each vertex there are twice as many paths."""


class NASBench101Cell(NamedTuple):
    """A pruned cell.

    Attributes:
        matrix: The `k x k` upper-triangular 0/1 adjacency matrix.
        operations: The `k` vertex labels, `"input"` first and `"output"` last.
    """

    matrix: np.ndarray
    operations: tuple[str, ...]


class _Pruned(NamedTuple):
    """What is left of a cell: its vertices, and its edges between their new numbers."""

    alive: list[int]
    edges: list[tuple[int, int]]
    operations: tuple[str, ...]


class NASBench101Space(GraphSpace):
    """All cells of at most `max_vertices` vertices and `max_edges` edges.

    The parameters are one boolean `edge_i_j` for each pair of vertices and one operation `op_v`
    for each inner vertex. With the defaults there are 423,624 cells that differ.

    Args:
        max_vertices: The most vertices, input and output included, from 3 to 16.
        max_edges: The most edges; at least 1.

    Raises:
        ValueError: A limit is too small.
    """

    def __init__(self, max_vertices: int = 7, max_edges: int = 9) -> None:
        self.max_vertices = checked_integer("max_vertices", max_vertices, 3, _MOST_VERTICES)
        self.max_edges = checked_integer("max_edges", max_edges)
        self.operations = NAS_BENCH_101_OPERATIONS
        pairs = tuple(combinations(range(self.max_vertices), 2))
        self.edges = pairs
        self._edge_names = {pair: f"edge_{pair[0]}_{pair[1]}" for pair in pairs}
        self._operation_names = {v: f"op_{v}" for v in range(1, self.max_vertices - 1)}
        super().__init__(
            {name: CategoricalDistribution((False, True)) for name in self._edge_names.values()}
            | {
                name: CategoricalDistribution(self.operations)
                for name in self._operation_names.values()
            }
        )

    def cell(self, architecture: Architecture) -> NASBench101Cell:
        """The pruned cell.

        Raises:
            InvalidArchitectureError: The output cannot be reached from the input.
        """
        _, edges, operations = self._prune(architecture)
        matrix = np.zeros((len(operations), len(operations)), dtype=np.int8)
        for edge in edges:
            matrix[edge] = 1
        return NASBench101Cell(matrix, operations)

    def validate(self, architecture: Architecture) -> None:
        """Raise `InvalidArchitectureError` for a disconnected cell or one with many edges."""
        edges = self._prune(architecture).edges
        if len(edges) > self.max_edges:
            raise InvalidArchitectureError(
                f"the cell has {len(edges)} edges; allowed are {self.max_edges}"
            )

    def from_matrix(self, matrix: np.ndarray, operations: Sequence[str]) -> Architecture:
        """Build the architecture of a cell with at most `max_vertices` vertices.

        Args:
            matrix: A `k x k` upper-triangular 0/1 matrix.
            operations: The `k` labels, `"input"` and `"output"` included.

        Raises:
            ValueError: The sizes do not fit or the cell is not in the space.
        """
        matrix = np.asarray(matrix)
        k = len(operations)
        if (
            matrix.shape != (k, k)
            or not 2 <= k <= self.max_vertices
            or np.tril(matrix).any()
            or not np.isin(matrix, (0, 1)).all()
        ):
            raise ValueError(
                f"`matrix` is {matrix.tolist()} for {k} operations; allowed is an "
                f"upper-triangular k x k matrix of 0 and 1 with 2 <= k <= {self.max_vertices}."
            )
        if (operations[0], operations[-1]) != ("input", "output"):
            raise ValueError(
                f"`operations` is {list(operations)}; allowed are labels from 'input' to 'output'."
            )
        places = [*range(k - 1), self.max_vertices - 1]
        params: dict[str, Any] = dict.fromkeys(self._edge_names.values(), False)
        params |= dict.fromkeys(self._operation_names.values(), self.operations[0])
        for i, j in zip(*np.nonzero(matrix), strict=True):
            params[self._edge_names[places[i], places[j]]] = True
        for place, operation in zip(places[1:-1], operations[1:-1], strict=True):
            params[self._operation_names[place]] = operation
        return self.architecture(params)

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block: 0 to `max_vertices - 2` operations (364 sequences for 7 vertices)."""
        return {"cell": PathBlock(self.operations, 0, self.max_vertices - 2)}

    def simplify(self, architecture: Architecture) -> Architecture:
        """Drop the edges and operations of vertices on no path from input to output."""
        alive = set(self._prune(architecture).alive)
        params: dict[str, Any] = {
            name: architecture[name] and alive.issuperset(pair)
            for pair, name in self._edge_names.items()
        }
        names = {v: name for v, name in self._operation_names.items() if v in alive}
        return Architecture(self, params | {name: architecture[name] for name in names.values()})

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return every path from input to output, with the operations of its vertices."""
        _, edges, operations = self._prune(architecture)
        successors: list[list[int]] = [[] for _ in operations]
        for source, target in edges:
            successors[source].append(target)
        found: list[Path] = []
        unfinished: list[tuple[int, ...]] = [(0,)]
        while unfinished:
            route = unfinished.pop()
            for vertex in successors[route[-1]]:
                if vertex == len(operations) - 1:
                    labels = tuple(operations[v] for v in route[1:])
                    found.append(Path("cell", (*route, vertex), labels))
                else:
                    unfinished.append((*route, vertex))
        return sorted(found, key=lambda path: (len(path.route), path.route))

    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw edges and operations uniformly until the cell is valid, as the benchmark does."""
        while True:
            edges = rng.random(len(self.edges)) < 0.5
            architecture = self._assemble(edges.tolist(), self._random_operations(rng))
            if self.is_valid(architecture):
                return architecture

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Flip each edge and change each operation with the benchmark's probabilities.

        One edge and one operation change on average; a result that is invalid or unchanged is
        drawn again.
        """
        edges = np.array([architecture[name] for name in self._edge_names.values()])
        operations = [architecture[name] for name in self._operation_names.values()]
        while True:
            flipped = edges ^ (rng.random(len(edges)) < 1 / len(edges))
            changed = [
                self._other_operation(old, rng) if rng.random() < 1 / len(operations) else old
                for old in operations
            ]
            mutant = self._assemble(flipped.tolist(), changed)
            if mutant != architecture and self.is_valid(mutant):
                return mutant

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all valid cells with one edge flipped or one live operation changed."""
        params = architecture.params
        flips = [{name: not params[name]} for name in self._edge_names.values()]
        changes = [
            {self._operation_names[v]: operation}
            for v in self._prune(architecture).alive[1:-1]
            for operation in self.operations
            if operation != params[self._operation_names[v]]
        ]
        candidates = [Architecture(self, {**params, **change}) for change in flips + changes]
        return [candidate for candidate in candidates if self.is_valid(candidate)]

    def key(self, architecture: Architecture) -> str:
        """Return the canonical form of the pruned cell under isomorphism."""
        _, edges, operations = self._prune(architecture)
        return canonical_form(operations, dict.fromkeys(edges, 1))

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the pruned cell with the operations on its vertices."""
        matrix, operations = self.cell(architecture)
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for vertex, operation in enumerate(operations):
            graph.add_node(vertex, label=operation)
            if 0 < vertex < len(operations) - 1:
                graph.nodes[vertex]["operation"] = operation
        graph.add_edges_from(zip(*(index.tolist() for index in np.nonzero(matrix)), strict=True))
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the upper triangle row by row, a colon, and the operations of all vertices."""
        bits = "".join(str(int(architecture[name])) for name in self._edge_names.values())
        labels = ",".join(architecture[name] for name in self._operation_names.values())
        return f"{bits}:{labels}"

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another shape or is not a cell of this space.
        """
        bits, _, labels = text.strip().partition(":")
        operations = labels.split(",") if labels else []
        if (
            len(bits) != len(self.edges)
            or set(bits) - {"0", "1"}
            or len(operations) != len(self._operation_names)
        ):
            raise ValueError(
                f"`text` is {text!r}; {self.name} needs {len(self.edges)} digits 0 or 1, a colon "
                f"and {len(self._operation_names)} operations separated by commas."
            )
        edges = dict(zip(self._edge_names.values(), (bit == "1" for bit in bits), strict=True))
        return self.architecture(
            edges | dict(zip(self._operation_names.values(), operations, strict=True))
        )

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "max_vertices": self.max_vertices,
            "max_edges": self.max_edges,
        }

    def _prune(self, architecture: Architecture) -> _Pruned:
        """What is left of the cell; raises `InvalidArchitectureError` if nothing is."""
        if "pruned" not in architecture.memo:
            architecture.memo["pruned"] = self._pruned(architecture)
        pruned: _Pruned | None = architecture.memo["pruned"]
        if pruned is None:
            raise InvalidArchitectureError("the output is not connected to the input")
        return pruned

    def _pruned(self, architecture: Architecture) -> _Pruned | None:
        last = self.max_vertices - 1
        edges = [pair for pair, name in self._edge_names.items() if architecture[name]]
        forward, backward = {0}, {last}
        for source, target in edges:  # by source, so one sweep follows every path
            if source in forward:
                forward.add(target)
        for source, target in reversed(edges):
            if target in backward:
                backward.add(source)
        if last not in forward:
            return None
        alive = sorted(forward & backward)
        places = {vertex: place for place, vertex in enumerate(alive)}
        kept = [(places[s], places[t]) for s, t in edges if s in places and t in places]
        inner = (architecture[self._operation_names[v]] for v in alive[1:-1])
        return _Pruned(alive, kept, ("input", *inner, "output"))

    def _assemble(self, edges: Sequence[bool], operations: Sequence[str]) -> Architecture:
        params: dict[str, Any] = dict(zip(self._edge_names.values(), edges, strict=True))
        params |= dict(zip(self._operation_names.values(), operations, strict=True))
        return Architecture(self, params)

    def _random_operations(self, rng: np.random.Generator) -> list[str]:
        choices = rng.integers(len(self.operations), size=len(self._operation_names))
        return [self.operations[choice] for choice in choices]

    def _other_operation(self, operation: str, rng: np.random.Generator) -> str:
        others = [name for name in self.operations if name != operation]
        return others[rng.integers(len(others))]
