"""An architecture as a picture: SVG for reports and the dashboard, text for the terminal.

Cells are drawn from left to right. States are capsules; operations are coloured pills, on the
edges of spaces like NAS-Bench-201 and DARTS and on the vertices of spaces like NAS-Bench-101.
Edges bend only between columns, so they run through nothing. What does not contribute to the
output, because a `none` cuts it off, is faint. An architecture without edges is a table of its
parameters.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

import networkx as nx

from optuna_nas.visualization.drawing.anatomy import NO_OPERATION, Cell, cells, parameter_table
from optuna_nas.visualization.drawing.canvas import (
    FAINT,
    INK,
    LINE,
    MUTED,
    Picture,
    card,
    element,
    plain,
    stack,
    text,
    text_width,
)
from optuna_nas.visualization.drawing.layout import (
    Box,
    Layout,
    layered_layout,
    without_empty_columns,
)
from optuna_nas.visualization.drawing.palette import colour, short_name
from optuna_nas.visualization.drawing.tables import legend, parameter_picture

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture

__all__ = ["cell_svg"]

_STATE_HEIGHT = 34.0
_PILL_HEIGHT = 26.0
_PORT_DISTANCE = 7.0
_ARROW = 7.0


def cell_svg(architecture: Architecture, *, title: str | None = None) -> str:
    """Draw an architecture as a self-contained SVG document.

    Args:
        architecture: The architecture.
        title: What stands above the drawing.

    Returns:
        The document: the cells one under the other with a legend, or a table of the parameters
        if the architecture has no edges.
    """
    drawn = cells(architecture)
    if drawn:
        pictures = [_cell_picture(cell) for cell in drawn]
        counts: dict[str, int] = {}
        for cell in drawn:
            for operation, count in cell.operations.items():
                counts[operation] = counts.get(operation, 0) + count
        width = max(picture.width for picture in pictures)
        pictures.append(legend(counts, max(width, 420.0)))
    else:
        pictures = [parameter_picture(parameter_table(architecture))]
    return card(stack(pictures), title=title, about=plain(architecture, 1000))


def _cell_picture(cell: Cell) -> Picture:
    """Draw one cell, under its name."""
    drawing = _CellDrawing(cell)
    elements = drawing.elements()
    width, height = drawing.layout.columns[-1].right, drawing.layout.height
    if cell.name is None:
        return Picture(width, height, elements)
    caption = text(0, 12, f"{cell.name} cell", size=13, fill=MUTED, font_weight=600)
    moved = element("g", "".join(elements), transform="translate(0 28)")
    return Picture(width, height + 28, [caption, moved])


class _CellDrawing:
    """One cell on its way to paper: every node, and every operation on an edge, is a box."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.alive = cell.contributing
        self.names: dict[Hashable, str] = {}
        self.operations: dict[Hashable, str] = {}
        self.carriers: dict[Hashable, tuple[Hashable, Hashable]] = {}
        self.boxes: dict[Hashable, Box] = {}
        self.edges: dict[tuple[Hashable, Hashable], tuple[Hashable, Hashable]] = {}
        self._add_nodes()
        self._add_edges()
        self.boxes = without_empty_columns(self.boxes)
        self.layout: Layout = layered_layout(self.boxes, list(self.edges))
        self.ports = self._ports()

    def _add_nodes(self) -> None:
        graph = self.cell.graph
        has_pills = any(self._pill(edge) for edge in graph.edges)
        for layer, nodes in enumerate(nx.topological_generations(graph)):
            for node in nodes:
                operation = graph.nodes[node].get("operation")
                label = self.cell.label(node) if operation is None else short_name(operation)
                self._add(node, label, operation, layer * 2 if has_pills else layer)

    def _add_edges(self) -> None:
        """Put each operation into the emptiest column between its ends, near the middle."""
        filled: dict[int, int] = {}
        ranks = {node: self.boxes[node].rank for node in self.cell.graph}
        for edge in sorted(self.cell.graph.edges, key=lambda e: ranks[e[1]] - ranks[e[0]]):
            source, target = edge
            operation = self._pill(edge)
            if operation is None:
                self.edges[source, target] = edge
                continue
            between = range(ranks[source] + 1, ranks[target], 2)
            middle = (ranks[source] + ranks[target]) / 2
            rank = min(between, key=lambda r: (filled.get(r, 0), abs(r - middle)))
            filled[rank] = filled.get(rank, 0) + 1
            pill = ("operation of", *edge)
            self._add(pill, short_name(operation), operation, rank)
            self.carriers[pill] = edge
            self.edges[source, pill] = self.edges[pill, target] = edge

    def _pill(self, edge: tuple[Hashable, Hashable]) -> str | None:
        operation = self.cell.edge_operation(edge)
        return None if operation == NO_OPERATION else operation

    def _add(self, key: Hashable, name: str, operation: str | None, rank: int) -> None:
        self.names[key] = name
        if operation is None:
            width = max(_STATE_HEIGHT, text_width(name, 12) + 22)
            self.boxes[key] = Box(rank, width, _STATE_HEIGHT)
        else:
            self.operations[key] = operation
            self.boxes[key] = Box(rank, text_width(name, 12) + 24, _PILL_HEIGHT)

    def _ports(self) -> dict[tuple[tuple[Hashable, Hashable], Hashable], float]:
        """How far from a box's middle each of its edges ends, so that they arrive side by side."""
        ports = {}
        for key in self.boxes:
            for side in (0, 1):
                ends = [edge for edge in self.edges if edge[side] == key]
                ends.sort(key=lambda edge: self._next_height(edge, 1 - side))
                room = self.boxes[key].height - 14
                step = min(_PORT_DISTANCE, room / max(len(ends) - 1, 1))
                for i, edge in enumerate(ends):
                    ports[edge, key] = step * (i - (len(ends) - 1) / 2)
        return ports

    def _next_height(self, edge: tuple[Hashable, Hashable], side: int) -> float:
        route = self.layout.routes[edge]
        if route:
            return route[0 if side == 1 else -1]
        return self.layout.centres[edge[side]][1]

    def elements(self) -> list[str]:
        """Write the edges, and the boxes over them."""
        return [
            *(self._edge(edge, of) for edge, of in self.edges.items()),
            *(self._box(key) for key in self.boxes),
        ]

    def _edge(self, edge: tuple[Hashable, Hashable], of: tuple[Hashable, Hashable]) -> str:
        operation = self.cell.edge_operation(of)
        start, end = self._border(edge, edge[0], 1), self._border(edge, edge[1], -1)
        arrow = operation != NO_OPERATION and edge[1] == of[1]
        tip = end[0] - (_ARROW - 1 if arrow else 0)
        rank = self.boxes[edge[0]].rank
        columns = self.layout.columns
        x, y = columns[rank].right, start[1]
        path = [f"M{start[0]:.1f} {y:.1f}H{x:.1f}"]
        for i, height in enumerate([*self.layout.routes[edge], end[1]], start=rank + 1):
            half = (x + columns[i].left) / 2
            left, right = columns[i].left, columns[i].right
            path.append(f"C{half:.1f} {y:.1f} {half:.1f} {height:.1f} {left:.1f} {height:.1f}")
            x, y = right, height
            path.append(f"H{tip if i == self.boxes[edge[1]].rank else right:.1f}")
        ink = LINE if operation is None else colour(operation)
        line = element(
            "path",
            d="".join(path),
            fill="none",
            stroke=FAINT if operation == NO_OPERATION else ink,
            stroke_width=1.6,
            stroke_dasharray="2 5" if operation == NO_OPERATION else None,
        )
        if arrow:
            x, y, half = end[0], end[1], _ARROW / 2
            points = (
                f"{x:.1f},{y:.1f} {x - _ARROW:.1f},{y - half:.1f} {x - _ARROW:.1f},{y + half:.1f}"
            )
            line += element("polygon", points=points, fill=ink)
        return self._faded(line, of in self.alive or operation == NO_OPERATION)

    def _border(
        self, edge: tuple[Hashable, Hashable], key: Hashable, direction: int
    ) -> tuple[float, float]:
        """The point of a box's rounded side where an edge ends."""
        (x, y), box, port = self.layout.centres[key], self.boxes[key], self.ports[edge, key]
        radius = box.height / 2
        reach = box.width / 2 - radius + math.sqrt(radius**2 - port**2)
        return x + direction * reach, y + port

    def _box(self, key: Hashable) -> str:
        (x, y), box, operation = (
            self.layout.centres[key],
            self.boxes[key],
            self.operations.get(key),
        )
        is_end = operation is None and (
            self.cell.graph.in_degree(key) == 0 or self.cell.graph.out_degree(key) == 0
        )
        fill = colour(operation) if operation is not None else INK if is_end else "#fff"
        shape = element(
            "rect",
            x=x - box.width / 2,
            y=y - box.height / 2,
            width=box.width,
            height=box.height,
            rx=box.height / 2,
            fill=fill,
            stroke=INK if fill == "#fff" else None,
            stroke_width=1.6 if fill == "#fff" else None,
        )
        ink = INK if fill == "#fff" else "#fff"
        name = text(x, y + 4.2, self.names[key], fill=ink, text_anchor="middle", font_weight=500)
        return self._faded(shape + name, self.carriers.get(key, key) in self.alive)

    @staticmethod
    def _faded(drawing: str, alive: bool) -> str:
        return drawing if alive else element("g", drawing, opacity=0.3)
