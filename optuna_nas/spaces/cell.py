"""Cells with one operation on each edge of a complete directed acyclic graph.

Node 0 is the cell's input and the last node its output; every edge runs from a lower to a higher
node, and a node is the sum of its incoming edges. NAS-Bench-201 is the space of this kind with
four nodes and five operations; :class:`CellSpace` takes any number of nodes and any operations.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.folding import IDENTITY, WEIGHTLESS, ZERO, Folding
from optuna_nas.spaces.graph import GraphSpace
from optuna_nas.spaces.notation import read_edges, write_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_NODES = 16
"""With each node a cell has twice as many paths: here 16,384."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]+")


class CellSpace(GraphSpace):
    """All cells of `num_nodes` nodes with one of `operations` on each edge.

    An operation of your own is a name here and a module registered under that name with
    :func:`optuna_nas.networks.register_operation`.

    Args:
        num_nodes: The number of nodes, input and output included, from 2 to 16.
        operations: The names that may stand on an edge; at least 2. `none` (no edge) and
            `skip_connect` (identity) have their usual meaning.
        weightless: The operations without trainable weights (besides `none` and
            `skip_connect`), whose repeated application to the same value is the same function.

    Raises:
        ValueError: Too few or too many nodes, too few operations, a repeated or malformed name.
    """

    def __init__(
        self,
        num_nodes: int,
        operations: Sequence[str],
        *,
        weightless: Sequence[str] | None = None,
    ) -> None:
        self.num_nodes = checked_integer("num_nodes", num_nodes, 2, _MOST_NODES)
        self.operations = checked_operations(operations)
        if weightless is None:
            weightless = [name for name in self.operations if name in WEIGHTLESS]
        if unknown := sorted(set(weightless) - set(self.operations)):
            raise ValueError(
                f"`weightless` names {unknown}; allowed are the operations {self.operations}."
            )
        self.weightless = tuple(sorted(weightless))
        self.edges = tuple((i, j) for j in range(1, self.num_nodes) for i in range(j))
        self._names = {edge: f"edge_{edge[0]}_{edge[1]}" for edge in self.edges}
        super().__init__(
            {name: CategoricalDistribution(self.operations) for name in self._names.values()}
        )
        self._routes = [(route, list(pairwise(route))) for route in _routes(self.num_nodes)]

    def operation(self, architecture: Architecture, edge: tuple[int, int]) -> str:
        """The operation on an edge `(source, target)`."""
        name: str = architecture[self._names[edge]]
        return name

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block: sequences of 1 to `num_nodes - 1` operations, digits in name order."""
        alphabet = tuple(sorted(self.operations))
        return {"cell": PathBlock(alphabet, 1, self.num_nodes - 1, ZERO, IDENTITY)}

    def simplify(self, architecture: Architecture) -> Architecture:
        """Set the edges that are on no path from input to output to `none`."""
        if ZERO not in self.operations:
            return architecture
        operations = {edge: self.operation(architecture, edge) for edge in self.edges}
        linked = [edge for edge, operation in operations.items() if operation != ZERO]
        reached, used = {0}, {self.num_nodes - 1}
        for source, target in linked:  # by target, so one sweep follows every path
            if source in reached:
                reached.add(target)
        for source, target in reversed(linked):
            if target in used:
                used.add(source)
        return Architecture(
            self,
            {
                self._names[edge]: operation if edge[0] in reached and edge[1] in used else ZERO
                for edge, operation in operations.items()
            },
        )

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return every path from input to output; `none` counts as an operation."""
        operations = {edge: self.operation(architecture, edge) for edge in self.edges}
        return [
            Path("cell", route, tuple(operations[edge] for edge in edges))
            for route, edges in self._routes
        ]

    def key(self, architecture: Architecture) -> str:
        """Return the canonical form (:mod:`optuna_nas.spaces.folding`); `none` for a dead cell."""
        folding = Folding(["@0"], self.weightless)
        values = [folding.input(0)]
        for target in range(1, self.num_nodes):
            values.append(
                folding.add(
                    folding.apply(self.operation(architecture, (source, target)), values[source])
                    for source in range(target)
                )
            )
        return folding.canonical([values[-1]])

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the nodes `0 ... num_nodes - 1` with the operations on the edges."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for node in range(self.num_nodes):
            graph.add_node(node, label=str(node))
        graph.nodes[0]["label"] = "input"
        graph.nodes[self.num_nodes - 1]["label"] = "output"
        for edge in self.edges:
            graph.add_edge(*edge, operation=self.operation(architecture, edge))
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the cell as NAS-Bench-201 does: `|op~0|+|op~0|op~1|+...`, node by node."""
        return write_edges({edge: self.operation(architecture, edge) for edge in self.edges})

    def parse(self, text: str) -> Architecture:
        """Read a cell in the NAS-Bench-201 notation.

        Raises:
            ValueError: The text has another shape or names an unknown operation.
        """
        operations = read_edges(text)
        if operations.keys() == self._names.keys():
            found = {self._names[edge]: operation for edge, operation in operations.items()}
            architecture = self.architecture(found)
            if self.format(architecture) == text.strip():
                return architecture
        raise ValueError(
            f"`text` is {text!r}; {self.name} needs {self.num_nodes - 1} groups such as "
            f"|{self.operations[0]}~0|+|{self.operations[0]}~0|{self.operations[1]}~1|."
        )

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "num_nodes": self.num_nodes,
            "operations": list(self.operations),
            "weightless": list(self.weightless),
        }


def checked_operations(operations: Sequence[str]) -> tuple[str, ...]:
    """Return the names of operations if they can be those of a space.

    Raises:
        ValueError: There are fewer than two, or one is repeated or malformed.
    """
    names = tuple(operations)
    malformed = [n for n in names if not isinstance(n, str) or not _NAME.fullmatch(n)]
    if isinstance(operations, str) or malformed:
        raise ValueError(
            f"`operations` is {operations!r}; allowed are names of letters, digits, '_', '-' "
            "and '.'."
        )
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"`operations` is {operations!r}; allowed are two or more different names."
        )
    return names


def _routes(num_nodes: int) -> list[tuple[int, ...]]:
    """All increasing node sequences from the first to the last node, shorter ones first."""
    routes: list[tuple[int, ...]] = [(0,)]
    for node in range(1, num_nodes - 1):
        routes += [(*route, node) for route in routes]
    return sorted(((*route, num_nodes - 1) for route in routes), key=lambda r: (len(r), r))
