"""Heights of the vertices of a layered drawing.

1. Each vertex wants to be level with its neighbours, and the pieces of long edges want it most. In
   each column the wishes are met in the least squares sense, with the distances the sizes need: an
   isotonic regression. Columns take turns.
2. At the end, ways without branches are made level wherever their columns leave room.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import networkx as nx

__all__ = ["levels", "spread"]

_ROUNDS = 60


def levels(
    graph: nx.DiGraph[Hashable], order: Sequence[Sequence[Hashable]], distance: float
) -> dict[Hashable, float]:
    """Find the height of each vertex: level with its neighbours as far as the sizes allow.

    Args:
        graph: A graph whose edges lead from one rank to the next; the nodes have the attributes
            `rank`, `height` and `point` (whether it only marks where a long edge passes).
        order: For each rank its vertices from top to bottom.
        distance: The space between the vertices of a column in pixels.

    Returns:
        The height of each vertex's middle in pixels, downwards.
    """
    offsets: dict[Hashable, float] = {}  # the heights if everything stood as close as possible
    for column in order:
        below = 0.0
        for v in column:
            offsets[v] = below + graph.nodes[v]["height"] / 2
            below += graph.nodes[v]["height"] + distance
    middle = {v: offsets[column[-1]] / 2 for column in order for v in column}
    heights = {v: offset - middle[v] for v, offset in offsets.items()}
    for turn in range(_ROUNDS):
        for column in order if turn % 2 == 0 else reversed(order):
            _settle(graph, column, heights, offsets)
    for _ in range(3):
        for chain in _chains(graph):
            _straighten(graph, chain, order, heights, distance)
    return heights


def _settle(
    graph: nx.DiGraph[Hashable],
    column: Sequence[Hashable],
    heights: dict[Hashable, float],
    offsets: Mapping[Hashable, float],
) -> None:
    """Move a column's vertices to where their neighbours want them, as far as they have room."""
    wishes, weights = [], []
    for v in column:
        pulls = [(heights[n], _pull(graph, v, n)) for n in nx.all_neighbors(graph, v)]
        weight = sum(pull for _, pull in pulls)
        level = sum(h * pull for h, pull in pulls) / weight if weight else heights[v]
        wishes.append(level - offsets[v])
        weights.append(weight or 1.0)
    for v, shift in zip(column, _isotonic(wishes, weights), strict=True):
        heights[v] = offsets[v] + shift


def _chains(graph: nx.DiGraph[Hashable]) -> list[list[Hashable]]:
    """The ways without branches, longest first."""
    inner = [v for v in graph if graph.in_degree(v) == graph.out_degree(v) == 1]
    parts = nx.weakly_connected_components(graph.subgraph(inner))
    chains = [sorted(part, key=lambda v: graph.nodes[v]["rank"]) for part in parts]
    return sorted(chains, key=lambda chain: (-len(chain), str(chain[0])))


def _straighten(
    graph: nx.DiGraph[Hashable],
    chain: Sequence[Hashable],
    order: Sequence[Sequence[Hashable]],
    heights: dict[Hashable, float],
    distance: float,
) -> None:
    """Make a chain level where its columns leave room, in as few pieces as possible."""
    piece: list[Hashable] = []
    low, high = -math.inf, math.inf
    for v in [*chain, None]:
        below, above = (
            (math.inf, -math.inf) if v is None else _room(graph, v, order, heights, distance)
        )
        if piece and (v is None or max(low, below) > min(high, above)):
            level = sum(heights[p] for p in piece) / len(piece)
            for p in piece:
                heights[p] = min(max(level, low), high)
            piece, low, high = [], -math.inf, math.inf
        if v is not None:
            piece.append(v)
            low, high = max(low, below), min(high, above)


def _room(
    graph: nx.DiGraph[Hashable],
    v: Hashable,
    order: Sequence[Sequence[Hashable]],
    heights: Mapping[Hashable, float],
    distance: float,
) -> tuple[float, float]:
    """How far up and down a vertex could move while its neighbours in the column stay."""
    column = order[graph.nodes[v]["rank"]]
    i, size = column.index(v), graph.nodes[v]["height"]
    low, high = -math.inf, math.inf
    if i > 0:
        low = heights[column[i - 1]] + (graph.nodes[column[i - 1]]["height"] + size) / 2 + distance
    if i < len(column) - 1:
        high = (
            heights[column[i + 1]] - (graph.nodes[column[i + 1]]["height"] + size) / 2 - distance
        )
    return low, high


def _pull(graph: nx.DiGraph[Hashable], v: Hashable, other: Hashable) -> float:
    """How much an edge wants to be level: long edges should be straight."""
    return float(4 ** (graph.nodes[v]["point"] + graph.nodes[other]["point"]))


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the closest non-decreasing sequence, by pooling neighbours that are out of order."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, u, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * u + b * w) / (u + w), u + w, m + n)]
    return [mean for mean, _, length in pools for _ in range(length)]


def spread(wishes: Sequence[float], distance: float) -> list[float]:
    """Move positions as little as possible so that all are at least `distance` apart.

    Args:
        wishes: Where they would like to be, in any order.
        distance: The least distance.

    Returns:
        Where they are, in the order given.
    """
    order = sorted(range(len(wishes)), key=wishes.__getitem__)
    shifts = [wishes[i] - rank * distance for rank, i in enumerate(order)]
    placed = _isotonic(shifts, [1.0] * len(shifts))
    found = {i: placed[rank] + rank * distance for rank, i in enumerate(order)}
    return [found[i] for i in range(len(wishes))]
