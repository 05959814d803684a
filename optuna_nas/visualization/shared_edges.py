"""How many edges the architectures of a hypernetwork share with the optimum, by λ, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.visualization.drawing.canvas import (
    INK,
    LINE,
    MUTED,
    Picture,
    card,
    element,
    text,
)

__all__ = ["shared_edges_svg"]

_SIDE, _LEFT, _TOP = 260.0, 34.0, 8.0
_GRID, _CURVE, _CHOSEN = "#e2e8f0", "#1d4ed8", "#b45309"


def shared_edges_svg(
    curve: Sequence[tuple[float, int]],
    total: int,
    *,
    chosen: Sequence[tuple[float, int]] = (),
    others: Sequence[tuple[float, int]] = (),
    title: str | None = None,
) -> str:
    """Draw the number of shared edges by λ, over the diagonal that it should follow.

    Args:
        curve: Pairs of λ and the number of edges that its architecture shares with the optimum.
        total: The number of edges of the optimum, Λ.
        chosen: The pairs of the members of the ensemble.
        others: The pairs of the other candidates.
        title: What stands above.

    Returns:
        A self-contained SVG document.
    """
    scale = _SIDE / total

    def at(position: float, count: float) -> tuple[float, float]:
        return _LEFT + scale * position, _TOP + _SIDE - scale * count

    elements = _axes(total, scale)
    points = " ".join("{:.1f},{:.1f}".format(*at(x, count)) for x, count in curve)
    elements.append(element("polyline", points=points, fill="none", stroke=_CURVE, stroke_width=2))
    for pairs, fill, radius in ((others, "#fff", 4.0), (chosen, _CHOSEN, 4.5)):
        for x, count in pairs:
            left, top = at(x, count)
            elements.append(
                element("circle", cx=left, cy=top, r=radius, fill=fill, stroke=_CHOSEN)
            )
    about = f"Shared edges by λ from 0 to {total}: {', '.join(f'{c} at {x:g}' for x, c in curve)}"
    return card(Picture(_LEFT + _SIDE + 8, _TOP + _SIDE + 46, elements), title=title, about=about)


def _axes(total: int, scale: float) -> list[str]:
    """Write the grid, the diagonal, the ticks and the names of the axes."""
    bottom, step = _TOP + _SIDE, max(-(-total // 8), 1)
    elements = []
    for tick in range(0, total + 1, step):
        x, y = _LEFT + scale * tick, bottom - scale * tick
        elements += [
            element("path", d=f"M{_LEFT:g} {y:.1f}h{_SIDE:g}", stroke=_GRID if tick else LINE),
            element("path", d=f"M{x:.1f} {bottom:g}v4", stroke=LINE),
            text(_LEFT - 8, y + 4, str(tick), size=11, fill=MUTED, text_anchor="end"),
            text(x, bottom + 18, str(tick), size=11, fill=MUTED, text_anchor="middle"),
        ]
    diagonal = f"M{_LEFT:g} {bottom:g}l{_SIDE:g} {-_SIDE:g}"
    elements.append(element("path", d=diagonal, stroke=MUTED, stroke_dasharray="4 4"))
    name = "λ; up: shared edges; filled: the members"
    elements.append(text(_LEFT, bottom + 38, name, size=11, fill=INK))
    return elements
