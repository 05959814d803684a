"""The three spaces of NAS-Bench-1Shot1: cells of NAS-Bench-101 with a fixed number of parents.

Every vertex chooses its parents among the earlier ones, always so many of them, and the inner ones
choose an operation. So a weight-sharing method can search the space edge by edge, and each of its
cells has a recorded training in NAS-Bench-101. Vertices on no way from input to output are pruned.

Reference: A. Zela, J. Siems, F. Hutter, *NAS-Bench-1Shot1: Benchmarking and Dissecting One-shot
Neural Architecture Search*, ICLR 2020, arXiv 2001.10422.

*Departures*: the 1x1 convolution that the publication adds to the cells of spaces 1 and 2 reads
nothing, and is pruned from every cell; here it is left out.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces.architecture import Architecture, PathBlock
from optuna_nas.spaces.canonical import canonical_form
from optuna_nas.spaces.graph import GraphSpace
from optuna_nas.spaces.nasbench101 import NAS_BENCH_101_OPERATIONS, NASBench101Cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARENTS: dict[int, tuple[int, ...]] = {
    1: (0, 1, 2, 2, 2, 2),
    2: (0, 1, 1, 2, 2, 3),
    3: (0, 1, 1, 1, 2, 2, 2),
}
"""How many parents each vertex of the three spaces has: the input, the inner ones, the output."""

Edges = tuple[tuple[int, int], ...]


class NASBench1Shot1Space(GraphSpace):
    """One of the three spaces.

    Args:
        number: Which one: 1 (14,580 settings), 2 (29,160) or 3 (1,312,200).

    Attributes:
        number: Which one it is.
        last: The number of the output; the input is 0.

    Raises:
        ValueError: There is no such space.
    """

    def __init__(self, number: int = 1) -> None:
        if number not in PARENTS or isinstance(number, bool):
            raise ValueError(f"`number` is {number!r}; allowed are {sorted(PARENTS)}.")
        self.number = number
        self.operations = NAS_BENCH_101_OPERATIONS
        self._parents = PARENTS[number]
        self.last = len(self._parents) - 1
        distributions = {}
        for vertex in range(1, self.last + 1):
            choices = [",".join(map(str, parents)) for parents in self._parent_sets(vertex)]
            if len(choices) > 1:
                distributions[f"node_{vertex}_parents"] = CategoricalDistribution(choices)
            if vertex < self.last:
                distributions[f"node_{vertex}_op"] = CategoricalDistribution(self.operations)
        super().__init__(distributions)

    @property
    def num_operations(self) -> int:
        """The inner vertices."""
        return self.last - 1

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block: 0 to as many operations as there are inner vertices."""
        return {"cell": PathBlock(self.operations, 0, self.last - 1)}

    def parents(self, architecture: Architecture, vertex: int) -> tuple[int, ...]:
        """The parents of a vertex."""
        name = f"node_{vertex}_parents"
        if name not in architecture:
            return tuple(range(self._parents[vertex]))
        return tuple(int(parent) for parent in architecture[name].split(","))

    def live_edges(self, architecture: Architecture) -> Edges:
        """The edges between vertices that the output reads, directly or not.

        Every vertex is on a way from the input, as each has a parent.
        """
        return self._pruned([self.parents(architecture, v) for v in range(1, self.last + 1)])

    def graphs(self) -> Iterator[Edges]:
        """All graphs of pruned cells, each once."""
        choices = [list(self._parent_sets(vertex)) for vertex in range(1, self.last + 1)]
        return iter(dict.fromkeys(self._pruned(chosen) for chosen in product(*choices)))

    def cell(self, architecture: Architecture) -> NASBench101Cell:
        """The pruned cell, as NAS-Bench-101 has it."""
        edges = self.live_edges(architecture)
        vertices = sorted({0} | {target for _, target in edges})
        places = {vertex: place for place, vertex in enumerate(vertices)}
        matrix = np.zeros((len(vertices), len(vertices)), dtype=np.int8)
        for source, target in edges:
            matrix[places[source], places[target]] = 1
        inner = (architecture[f"node_{vertex}_op"] for vertex in vertices[1:-1])
        return NASBench101Cell(matrix, ("input", *inner, "output"))

    def simplify(self, architecture: Architecture) -> Architecture:
        """Drop the parameters of vertices that the output does not read."""
        used = {target for _, target in self.live_edges(architecture)}
        params = architecture.params.items()
        return Architecture(self, {n: v for n, v in params if int(n.split("_")[1]) in used})

    def key(self, architecture: Architecture) -> str:
        """Return the canonical form of the pruned cell, the same as in NAS-Bench-101."""
        matrix, operations = self.cell(architecture)
        sources, targets = (index.tolist() for index in np.nonzero(matrix))
        return canonical_form(operations, dict.fromkeys(zip(sources, targets, strict=True), 1))

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
        """Write each vertex with its parents: `conv3x3-bn-relu<0|...|output<2,3`."""
        operations = [architecture[f"node_{vertex}_op"] for vertex in range(1, self.last)]
        return "|".join(
            f"{operation}<{','.join(map(str, self.parents(architecture, vertex)))}"
            for vertex, operation in enumerate([*operations, "output"], start=1)
        )

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another form, or is no cell of this space.
        """
        parts = [part.partition("<") for part in text.strip().split("|")]
        if len(parts) == self.last and parts[-1][0] == "output":
            params: dict[str, Any] = {}
            for vertex, (operation, _, parents) in enumerate(parts, start=1):
                params[f"node_{vertex}_op"] = operation
                params[f"node_{vertex}_parents"] = parents
            architecture = self.architecture(params)
            if self.format(architecture) == text.strip():
                return architecture
        raise ValueError(
            f"`text` is {text!r}; {self.name} needs {self.last} vertices such as "
            f"{self.operations[0]}<0, separated by '|', the last being output<...."
        )

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {"space": self.name, "number": self.number}

    def _parent_sets(self, vertex: int) -> Iterator[tuple[int, ...]]:
        return combinations(range(vertex), self._parents[vertex])

    def _pruned(self, parents: Sequence[tuple[int, ...]]) -> Edges:
        used = {self.last}
        for vertex in range(self.last, 0, -1):
            if vertex in used:
                used.update(parents[vertex - 1])
        return tuple((p, v) for v in sorted(used - {0}) for p in parents[v - 1])


SPACE_1, SPACE_2, SPACE_3 = (NASBench1Shot1Space(number) for number in sorted(PARENTS))
"""The three spaces, for those who look them up by name."""
