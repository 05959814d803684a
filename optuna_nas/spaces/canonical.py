"""Canonical forms of small labelled directed graphs.

Two graphs get the same text exactly when a bijection of their vertices maps labels to labels and
edges to edges with their multiplicity. The method is the textbook one:

1. refine the vertex colours until a vertex's colour tells the colours of its neighbours
   (one-dimensional Weisfeiler-Leman);
2. if every colour is unique, the colours order the vertices: write the graph down in that order;
3. otherwise single out, in turn, each vertex of the first colour that is shared, repeat from 1,
   and keep the smallest text. Twins (same label, same neighbours) give the same text, so one of
   them is enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_Adjacency = list[dict[int, int]]


def canonical_form(labels: Sequence[str], edges: Mapping[tuple[int, int], int]) -> str:
    """Return a text that is equal exactly for isomorphic graphs.

    Args:
        labels: The label of each vertex.
        edges: The multiplicity of each directed edge `(source, target)`.
    """
    predecessors: _Adjacency = [{} for _ in labels]
    successors: _Adjacency = [{} for _ in labels]
    for (source, target), count in edges.items():
        predecessors[target][source] = count
        successors[source][target] = count
    ranks = {label: rank for rank, label in enumerate(sorted(set(labels)))}
    colours = [ranks[label] for label in labels]
    form = _smallest_form(colours, predecessors, successors)
    ordered = sorted(zip(form[0], labels, strict=True))
    return ";".join([",".join(label for _, label in ordered), form[1]])


def _smallest_form(
    colours: list[int], predecessors: _Adjacency, successors: _Adjacency
) -> tuple[list[int], str]:
    colours = _refine(colours, predecessors, successors)
    cells: dict[int, list[int]] = {}
    for vertex, colour in enumerate(colours):
        cells.setdefault(colour, []).append(vertex)
    shared = [colour for colour in sorted(cells) if len(cells[colour]) > 1]
    if not shared:
        return colours, _edge_text(colours, successors)

    best: tuple[list[int], str] | None = None
    tried: list[tuple[dict[int, int], dict[int, int]]] = []
    for vertex in cells[shared[0]]:
        surroundings = predecessors[vertex], successors[vertex]
        if surroundings in tried:
            continue
        tried.append(surroundings)
        # Doubling makes room for the singled-out vertex just below the colour it leaves.
        split = [2 * colour + 1 for colour in colours]
        split[vertex] -= 1
        form = _smallest_form(split, predecessors, successors)
        if best is None or form[1] < best[1]:
            best = form
    assert best is not None
    return best


def _refine(colours: list[int], predecessors: _Adjacency, successors: _Adjacency) -> list[int]:
    number = len(set(colours))
    while True:
        signatures = [
            (
                colours[vertex],
                sorted((colours[u], count) for u, count in predecessors[vertex].items()),
                sorted((colours[u], count) for u, count in successors[vertex].items()),
            )
            for vertex in range(len(colours))
        ]
        order = sorted(range(len(colours)), key=signatures.__getitem__)
        refined = [0] * len(colours)
        colour = -1
        for position, vertex in enumerate(order):
            if position == 0 or signatures[vertex] != signatures[order[position - 1]]:
                colour += 1
            refined[vertex] = colour
        if colour + 1 == number:
            return refined
        colours, number = refined, colour + 1


def _edge_text(colours: list[int], successors: _Adjacency) -> str:
    edges = sorted(
        (colours[source], colours[target], count)
        for source, targets in enumerate(successors)
        for target, count in targets.items()
    )
    return " ".join(f"{s}>{t}" + (f"*{count}" if count > 1 else "") for s, t, count in edges)
