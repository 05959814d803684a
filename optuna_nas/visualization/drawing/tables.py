"""What stands beside a drawn architecture, or in its place: a legend, or a table of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna_nas.visualization.drawing.anatomy import NO_OPERATION
from optuna_nas.visualization.drawing.canvas import (
    INK,
    MUTED,
    Picture,
    element,
    plain,
    text,
    text_width,
)
from optuna_nas.visualization.drawing.palette import colour

__all__ = ["legend", "parameter_picture"]


def legend(counts: Mapping[str, int], width: float) -> Picture:
    """List the operations under their full names, with how often they occur."""
    elements, x, y = [], 0.0, 10.0
    for operation, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        name, times = plain(operation, 40), f"\N{MULTIPLICATION SIGN}{count}"
        needed = 17 + text_width(f"{name} {times}", 11)
        if x and x + needed > width:
            x, y = 0.0, y + 20
        if operation == NO_OPERATION:
            sign = element("path", d=f"M{x:g} {y - 4:g}h12", stroke=MUTED, stroke_dasharray="2 3")
        else:
            sign = element("circle", cx=x + 5, cy=y - 4, r=5, fill=colour(operation))
        elements += [sign, text(x + 17, y, name, times, size=11, fill=INK)]
        x += needed + 18
    return Picture(width, y + 4, elements)


def parameter_picture(rows: Sequence[tuple[str, str]]) -> Picture:
    """Write names and values in two columns."""
    first = max(text_width(name, 12) for name, _ in rows) + 32
    width = max(first + max(text_width(value, 12) for _, value in rows) + 12, 240.0)
    elements = []
    for i, (name, value) in enumerate(rows):
        if i % 2 == 0:
            elements.append(
                element("rect", x=0, y=26 * i, width=width, height=26, rx=6, fill="#f1f5f9")
            )
        elements.append(text(12, 26 * i + 17.2, name, fill=MUTED))
        elements.append(text(first, 26 * i + 17.2, value, fill=INK, font_weight=600))
    return Picture(width, 26.0 * len(rows), elements)
