"""What a graph of operations computes: its canonical key, and the paths through it.

The vocabulary of the graphs is that of :mod:`optuna_nas.spaces.graph`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx

from optuna_nas.spaces.architecture import Path
from optuna_nas.spaces.folding import IDENTITY, Folding, Value

if TYPE_CHECKING:
    from collections.abc import Collection

CONCATENATE = "concat"
"""The attribute `combine` of a node that concatenates what arrives there."""


class GraphNode(NamedTuple):
    """A node of a graph of operations.

    Attributes:
        name: Its name in the graph.
        attributes: Its attributes.
        arriving: The nodes that it reads, each with the attributes of the edge.
        is_read: Whether another node reads it.
    """

    name: Any
    attributes: dict[str, Any]
    arriving: list[tuple[Any, dict[str, Any]]]
    is_read: bool


def graph_key(graph: nx.DiGraph[Any], weightless: Collection[str]) -> str:
    """Return the canonical text of each cell, joined by `|`; `none` for one without an output.

    Args:
        graph: The graph of an architecture.
        weightless: The operations without weights.
    """
    keys = []
    for nodes in cells_of(graph).values():
        inputs = [node.name for node in nodes if not node.arriving]
        folding = Folding((f"@{number}" for number in range(len(inputs))), weightless)
        values = {name: folding.input(number) for number, name in enumerate(inputs)}
        outputs: list[Value] = []
        for name, attributes, arriving, is_read in nodes:
            if name in values:
                continue
            strided, terms = False, []
            for source, edge in arriving:
                value, strided = values[source], edge.get("strided", False)
                if "operation" in edge:
                    value = folding.apply(edge["operation"], value, identity=not strided)
                terms.append(value)
            concatenated = attributes.get("combine") == CONCATENATE
            if concatenated and not is_read:
                outputs += terms
                continue
            value = folding.concatenate(terms) if concatenated else folding.add(terms)
            if "operation" in attributes:
                value = folding.apply(attributes["operation"], value, identity=not strided)
            values[name] = value
            if not is_read:
                outputs.append(value)
        keys.append(folding.canonical(outputs))
    return "|".join(keys)


def graph_paths(graph: nx.DiGraph[Any]) -> list[Path]:
    """Return every path from an input of a cell to its output.

    The block of a path is `cell` in a graph with one input, else `input_0`, `input_1` and so on;
    of several cells each has its blocks: `normal/input_0`. A route numbers the nodes of a cell,
    each after those that it reads. Where operations stand on nodes, it has these and both ends;
    where they stand on edges, the ends of these; there an edge without one is a `skip_connect`
    that the path walks, unless it is the last.
    """
    found = []
    for cell, nodes in cells_of(graph).items():
        inputs = [node.name for node in nodes if not node.arriving]
        alone = not cell and len(inputs) == 1
        on_nodes = any("operation" in node.attributes for node in nodes)
        paths: dict[Any, list[Path]] = {}
        for number, (name, attributes, arriving, is_read) in enumerate(nodes):
            here = paths[name] = []
            if not arriving:
                block = "cell" if alone else f"input_{inputs.index(name)}"
                here.append(Path(f"{cell}/{block}" if cell else block, (number,), ()))
            for source, edge in arriving:
                operation = (attributes if on_nodes else edge).get("operation")
                if operation is None and is_read and not on_nodes:
                    operation = IDENTITY
                used = () if operation is None else (operation,)
                walked = (number,) if used or (on_nodes and not is_read) else ()
                here += [
                    Path(path.block, path.route + walked, path.operations + used)
                    for path in paths[source]
                ]
            if arriving and not is_read:
                found += here
    return found


def cells_of(graph: nx.DiGraph[Any]) -> dict[str, list[GraphNode]]:
    """The nodes of each cell, every one after those that it reads; `""` names a single cell."""
    arriving: dict[Any, list[tuple[Any, dict[str, Any]]]] = {}
    for name in graph:
        arriving[name] = list(graph.pred[name].items())
    read = {source for edges in arriving.values() for source, _ in edges}
    order: list[Any] = list(graph)
    places = {name: place for place, name in enumerate(order)}
    if any(places[s] > places[name] for name, edges in arriving.items() for s, _ in edges):
        order = list(nx.lexicographical_topological_sort(graph, key=places.__getitem__))
    cells: dict[str, list[GraphNode]] = {}
    for name in order:
        attributes = graph.nodes[name]
        node = GraphNode(name, attributes, arriving[name], name in read)
        cells.setdefault(attributes.get("cell", ""), []).append(node)
    return cells
