"""Layered drawing of a directed acyclic graph, from left to right.

1. Every vertex has a rank, and ranks are columns. An edge over several ranks is cut into pieces by
   points, one in each column it passes, so that nothing in a column is ever crossed.
2. Columns are ordered so that few edges cross (`ordering.py`).
3. Vertices get their heights, level with their neighbours where there is room (`levels.py`).

Reference: K. Sugiyama, S. Tagawa, M. Toda, *Methods for Visual Understanding of Hierarchical
System Structures*, IEEE Transactions on Systems, Man, and Cybernetics 11, 1981.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx

from optuna_nas.visualization.drawing.levels import levels
from optuna_nas.visualization.drawing.ordering import ordered_columns

__all__ = ["Box", "Column", "Layout", "layered_layout", "without_empty_columns"]

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
    order = ordered_columns(graph, len(columns))
    heights = levels(graph, order, distance)
    top = min(heights[v] - graph.nodes[v]["height"] / 2 for v in graph)
    bottom = max(heights[v] + graph.nodes[v]["height"] / 2 for v in graph)
    middles = [(column.left + column.right) / 2 for column in columns]
    return Layout(
        {v: (middles[box.rank], heights[v] - top) for v, box in boxes.items()},
        {edge: [heights[point] - top for point in between] for edge, between in points.items()},
        columns,
        bottom - top,
    )


def without_empty_columns(boxes: Mapping[Hashable, Box]) -> dict[Hashable, Box]:
    """Number the ranks that have boxes 0, 1, 2, ..., in their order."""
    used = sorted({box.rank for box in boxes.values()})
    return {v: replace(box, rank=used.index(box.rank)) for v, box in boxes.items()}


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
