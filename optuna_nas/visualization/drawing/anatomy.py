"""What there is to draw in an architecture: its cells, and what in them reaches the output."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from optuna_nas.visualization.drawing.canvas import plain

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture

__all__ = ["NO_OPERATION", "Cell", "cells", "parameter_table"]

NO_OPERATION = "none"


@dataclass(frozen=True)
class Cell:
    """One cell of an architecture.

    Args:
        name: Its name, or None if the architecture is a single cell.
        graph: Its graph. Operations stand in the attribute `operation` of nodes or edges.
    """

    name: str | None
    graph: nx.DiGraph[Any]

    def label(self, node: Hashable) -> str:
        """What a node is called: its label, or its own name where it carries an operation."""
        attributes = self.graph.nodes[node]
        if "operation" in attributes or "label" not in attributes:
            return plain(node, 24)
        return plain(attributes["label"], 24)

    def edge_operation(self, edge: tuple[Hashable, Hashable]) -> str | None:
        """The operation on an edge, if there is one."""
        return self.graph.edges[edge].get("operation")

    @property
    def operations(self) -> dict[str, int]:
        """How often each operation occurs, in the order of the drawing."""
        found = [self.graph.nodes[node].get("operation") for node in self.graph]
        found += [self.edge_operation(edge) for edge in self.graph.edges]
        present = [operation for operation in found if operation is not None]
        return {operation: present.count(operation) for operation in present}

    @property
    def contributing(self) -> set[Hashable]:
        """The nodes and edges on a way from an input to an output that no `none` cuts."""
        inputs = [node for node, degree in self.graph.in_degree() if degree == 0]
        outputs = [node for node, degree in self.graph.out_degree() if degree == 0]
        kept = [e for e in self.graph.edges if self.edge_operation(e) != NO_OPERATION]
        open_ways = nx.DiGraph(kept)
        open_ways.add_nodes_from(self.graph)
        reached = {n for source in inputs for n in nx.descendants(open_ways, source)} | {*inputs}
        reaching = {n for sink in outputs for n in nx.ancestors(open_ways, sink)} | {*outputs}
        nodes = reached & reaching
        return nodes | {(u, v) for u, v in open_ways.edges if u in nodes and v in nodes}


def cells(architecture: Architecture) -> list[Cell]:
    """Take an architecture apart by its nodes' attribute `cell`; empty if it has no edges."""
    graph = architecture.graph
    if graph.number_of_edges() == 0:
        return []
    names = list(dict.fromkeys(name for _, name in graph.nodes(data="cell")))
    if names == [None]:
        return [Cell(None, graph)]
    members = {name: [n for n, cell in graph.nodes(data="cell") if cell == name] for name in names}
    return [Cell(plain(name), graph.subgraph(nodes)) for name, nodes in members.items()]


def parameter_table(architecture: Architecture) -> list[tuple[str, str]]:
    """The parameters and their values as short texts."""
    return [(plain(name, 40), _value(value)) for name, value in architecture.params.items()]


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else plain(value, 40)
