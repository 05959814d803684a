"""Layered drawing of a directed acyclic graph, from left to right.

1. Every vertex has a rank, and ranks are columns. An edge over several ranks is cut into pieces by
   points, one in each column it passes, so that nothing in a column is ever crossed.
2. Columns are ordered by barycentres, in sweeps to and fro, and by swapping neighbours; the order
   with the fewest crossings stays.
3. Heights follow: each vertex wants to be level with its neighbours, points most of all; in each
   column the wishes are met in the least squares sense, with the distances the sizes need (an
   isotonic regression). Columns take turns until nothing moves any more.

Reference: K. Sugiyama, S. Tagawa, M. Toda, *Methods for Visual Understanding of Hierarchical
System Structures*, IEEE Transactions on Systems, Man, and Cybernetics 11, 1981.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

__all__ = ["Box", "Column", "Layout", "layered_layout"]

_STARTS = 8
_SWEEPS = 12
_ROUNDS = 60
_POINT_HEIGHT = 6.0


@dataclass(frozen=True)
class Box:
    """A vertex before it is placed.

    Args:
        rank: Its column, from 0.
        width: Its width in pixels.
        height: Its height in pixels.
    """

    rank: int
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """Where a rank's column begins and ends, in pixels."""

    left: float
    right: float


@dataclass(frozen=True)
class Layout:
    """Where everything goes.

    Args:
        centres: The middle of each vertex, as (x, y) in pixels.
        routes: For each edge the heights at which it crosses the columns between its ends.
        columns: The columns, by rank.
        height: The height of the whole drawing in pixels.
    """

    centres: Mapping[Hashable, tuple[float, float]]
    routes: Mapping[tuple[Hashable, Hashable], Sequence[float]]
    columns: Sequence[Column]
    height: float


def layered_layout(
    boxes: Mapping[Hashable, Box],
    edges: Sequence[tuple[Hashable, Hashable]],
    *,
    gap: float = 34.0,
    distance: float = 12.0,
) -> Layout:
    """Place boxes in columns.

    Args:
        boxes: The vertices, each with its rank.
        edges: The edges; the rank of the second end must be the higher one.
        gap: The space between columns in pixels.
        distance: The space between the vertices of a column in pixels.

    Returns:
        The layout; its upper left corner is (0, 0).
    """
    graph, points = _with_points(boxes, edges)
    columns = _columns(boxes, gap)
    order = _ordered(graph, len(columns))
    heights = _heights(graph, order, distance)
    top = min(heights[v] - graph.nodes[v]["height"] / 2 for v in graph)
    bottom = max(heights[v] + graph.nodes[v]["height"] / 2 for v in graph)
    middles = [(column.left + column.right) / 2 for column in columns]
    return Layout(
        {v: (middles[box.rank], heights[v] - top) for v, box in boxes.items()},
        {edge: [heights[point] - top for point in between] for edge, between in points.items()},
        columns,
        bottom - top,
    )


def _with_points(
    boxes: Mapping[Hashable, Box], edges: Sequence[tuple[Hashable, Hashable]]
) -> tuple[nx.DiGraph[Hashable], dict[tuple[Hashable, Hashable], list[Hashable]]]:
    """Cut the long edges into pieces from column to column."""
    graph: nx.DiGraph[Hashable] = nx.DiGraph()
    for vertex, box in boxes.items():
        graph.add_node(vertex, rank=box.rank, height=box.height, point=False)
    points: dict[tuple[Hashable, Hashable], list[Hashable]] = {}
    for source, target in edges:
        ranks = range(boxes[source].rank + 1, boxes[target].rank)
        between: list[Hashable] = [("point", source, target, rank) for rank in ranks]
        for point, rank in zip(between, ranks, strict=True):
            graph.add_node(point, rank=rank, height=_POINT_HEIGHT, point=True)
        nx.add_path(graph, [source, *between, target])
        points[source, target] = between
    return graph, points


def _columns(boxes: Mapping[Hashable, Box], gap: float) -> list[Column]:
    columns, left = [], 0.0
    for rank in range(max(box.rank for box in boxes.values()) + 1):
        width = max((box.width for box in boxes.values() if box.rank == rank), default=0.0)
        columns.append(Column(left, left + width))
        left += width + gap
    return columns


def _ordered(graph: nx.DiGraph[Hashable], ranks: int) -> list[list[Hashable]]:
    """Order the vertices of each column so that few edges cross."""
    rng = random.Random(0)  # a drawing is a function of its graph
    order = [[v for v in graph if graph.nodes[v]["rank"] == rank] for rank in range(ranks)]
    best, fewest = order, _crossings(graph, order)
    for _ in range(_STARTS):
        order = [list(column) for column in order]
        for sweep in range(_SWEEPS):
            if fewest == 0:
                return best
            _sweep(graph, order, forward=sweep % 2 == 0)
            _swap_neighbours(graph, order)
            crossings = _crossings(graph, order)
            if crossings < fewest:
                best, fewest = [list(column) for column in order], crossings
        for column in order:
            rng.shuffle(column)
    return best


def _sweep(graph: nx.DiGraph[Hashable], order: list[list[Hashable]], *, forward: bool) -> None:
    """Order each column by where its vertices' neighbours are in the column before."""
    neighbours = graph.predecessors if forward else graph.successors
    columns = order if forward else order[::-1]
    for before, column in pairwise(columns):
        beside = {v: i for i, v in enumerate(before)}
        centres = {
            v: _mean([beside[n] for n in neighbours(v)], default=i) for i, v in enumerate(column)
        }
        column.sort(key=centres.__getitem__)


def _swap_neighbours(graph: nx.DiGraph[Hashable], order: list[list[Hashable]]) -> None:
    for rank, column in enumerate(order):
        around = order[max(rank - 1, 0) : rank + 2]
        for i in range(len(column) - 1):
            before = _crossings(graph, around)
            column[i], column[i + 1] = column[i + 1], column[i]
            if _crossings(graph, around) >= before:
                column[i], column[i + 1] = column[i + 1], column[i]


def _crossings(graph: nx.DiGraph[Hashable], order: Sequence[Sequence[Hashable]]) -> int:
    total = 0
    for left, right in pairwise(order):
        place = {v: i for i, v in enumerate(right)}
        ends = [sorted(place[s] for s in graph.successors(v)) for v in left]
        pairs = [(i, end) for i, several in enumerate(ends) for end in several]
        total += sum(a < b and x > y for a, x in pairs for b, y in pairs)
    return total


def _heights(
    graph: nx.DiGraph[Hashable], order: Sequence[Sequence[Hashable]], distance: float
) -> dict[Hashable, float]:
    """Find the middle of each vertex: level with its neighbours as far as the sizes allow."""
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
            level = _mean([heights[p] for p in piece], default=0.0)
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


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
