"""The weights of an architecture during a search: one small chart for each edge, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna_nas.visualization.drawing.anatomy import NO_OPERATION
from optuna_nas.visualization.drawing.canvas import (
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
from optuna_nas.visualization.drawing.palette import colour

__all__ = ["trajectory_svg"]

Rows = Sequence[Sequence[float]]
"""A weight for each edge and operation."""

_WIDTH, _HEIGHT, _GAP = 132.0, 84.0, 20.0
_COLUMNS = 7


def trajectory_svg(
    weights: Mapping[str, Sequence[Rows]],
    edges: Mapping[str, Sequence[tuple[int, int]]],
    operations: Sequence[str],
    *,
    title: str | None = None,
) -> str:
    """Draw how the weights of the operations went, edge by edge.

    Args:
        weights: For each kind of cell, and each epoch, a weight for each edge and operation.
        edges: The edges of each kind of cell, in the order of the rows.
        operations: The operations, in the order of the columns.
        title: What stands above.

    Returns:
        A self-contained SVG document. All charts have the same vertical scale, from the
        smallest to the largest weight of all; the horizontal one is the epoch.
    """
    values = [v for epochs in weights.values() for rows in epochs for row in rows for v in row]
    low, high = min(values), max(values)
    scale = low, (high - low) or 1.0
    pictures = []
    for kind, epochs in weights.items():
        charts = []
        for position, (source, target) in enumerate(edges[kind]):
            curves = {
                name: [rows[position][column] for rows in epochs]
                for column, name in enumerate(operations)
            }
            charts.append(_chart(f"{source} → {target}", curves, scale))
        caption = f"{kind} cell" if len(weights) > 1 else ""
        pictures.append(_grid(charts, caption))
    pictures.append(_legend(operations, pictures[0].width))
    length = max(len(epochs) for epochs in weights.values()) - 1
    about = (
        f"Weights of {len(operations)} operations over {length} epochs: {low:.3g} to {high:.3g}"
    )
    return card(stack(pictures), title=title, about=about)


def _chart(
    name: str, curves: Mapping[str, Sequence[float]], scale: tuple[float, float]
) -> list[str]:
    """One edge: a line for each operation, and the strongest one by name."""
    low, span = scale
    strongest = max(curves, key=lambda operation: curves[operation][-1])
    elements = [
        text(0, 10, name, size=11, fill=INK, font_weight=600),
        text(
            _WIDTH,
            10,
            f"{plain(strongest, 16)} {curves[strongest][-1]:.2f}",
            size=10,
            fill=MUTED,
            text_anchor="end",
        ),
        element("path", d=f"M0 {16 + _HEIGHT:g}h{_WIDTH:g}", stroke=LINE),
    ]
    for operation, values in curves.items():
        steps = max(len(values) - 1, 1)
        points = " ".join(
            f"{_WIDTH * i / steps:.1f},{16 + _HEIGHT * (1 - (value - low) / span):.1f}"
            for i, value in enumerate(values)
        )
        elements.append(
            element(
                "polyline",
                points=points,
                fill="none",
                stroke=MUTED if operation == NO_OPERATION else colour(operation),
                stroke_width=2.0 if operation == strongest else 1.2,
                stroke_dasharray="3 2" if operation == NO_OPERATION else None,
            )
        )
    return elements


def _grid(charts: Sequence[list[str]], caption: str) -> Picture:
    top = 26.0 if caption else 0.0
    elements = [text(0, 12, caption, size=13, fill=MUTED, font_weight=600)] if caption else []
    for i, chart in enumerate(charts):
        x = (i % _COLUMNS) * (_WIDTH + _GAP)
        y = top + (i // _COLUMNS) * (_HEIGHT + 16 + _GAP)
        elements.append(element("g", "".join(chart), transform=f"translate({x:g} {y:g})"))
    rows = -(-len(charts) // _COLUMNS)
    width = min(len(charts), _COLUMNS) * (_WIDTH + _GAP) - _GAP
    return Picture(width, top + rows * (_HEIGHT + 16 + _GAP) - _GAP, elements)


def _legend(operations: Sequence[str], width: float) -> Picture:
    elements, x, y = [], 0.0, 10.0
    for operation in operations:
        name = plain(operation, 40)
        needed = 17 + text_width(name, 11)
        if x and x + needed > width:
            x, y = 0.0, y + 20
        ink = MUTED if operation == NO_OPERATION else colour(operation)
        dashes = "3 2" if operation == NO_OPERATION else None
        line = f"M{x:g} {y - 4:g}h12"
        elements.append(
            element("path", d=line, stroke=ink, stroke_width=2, stroke_dasharray=dashes)
        )
        elements.append(text(x + 17, y, name, size=11, fill=INK))
        x += needed + 18
    return Picture(width, y + 4, elements)
