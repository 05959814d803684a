"""Draw how the folders of the package use each other, as docs/images/architecture.svg.

    python -m benchmarks.architecture

A folder stands one row above the highest folder that it imports. An arrow that others lead around
is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import networkx as nx

from benchmarks import tables
from tests.test_layers import FILES, LAYERS, PACKAGE, imported

_BOX = (118, 34)
_GAP = (18, 46)
_MARGIN = 16
_PICTURE = PACKAGE.parent / "docs" / "images" / "architecture.svg"


def folder_graph() -> nx.DiGraph[str]:
    """The folders, and who imports whom."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(LAYERS)
    for file, tree in FILES.items():
        own = file.relative_to(PACKAGE).parts[0]
        for name in imported(tree):
            other = name.split(".")[0]
            if own in LAYERS and other in LAYERS and own != other:
                graph.add_edge(own, other)
    return graph


def rows(graph: nx.DiGraph[str]) -> list[list[str]]:
    """The folders by row, from above; in a row by where the folders they use stand."""
    heights: dict[str, int] = {}
    for folder in reversed(list(nx.topological_sort(graph))):
        heights[folder] = 1 + max((heights[below] for below in graph[folder]), default=-1)
    found: list[list[str]] = [[] for _ in range(max(heights.values()) + 1)]
    for folder, height in heights.items():
        found[height].append(folder)
    places: dict[str, float] = {}
    for row in found:
        row.sort(key=lambda f: (sum(places[b] for b in graph[f]) / max(1, len(graph[f])), f))
        places |= {folder: i - (len(row) - 1) / 2 for i, folder in enumerate(row)}
    return found[::-1]


def svg(graph: nx.DiGraph[str]) -> str:
    """Draw the folders as boxes, and an arrow from each to those it cannot do without."""
    (width, height), (between, below) = _BOX, _GAP
    drawn = rows(graph)
    across = max(map(len, drawn)) * (width + between) - between + 2 * _MARGIN
    down = len(drawn) * (height + below) - below + 2 * _MARGIN
    places = {
        folder: (
            across / 2 + (i - (len(row) - 1) / 2) * (width + between),
            _MARGIN + height / 2 + n * (height + below),
        )
        for n, row in enumerate(drawn)
        for i, folder in enumerate(row)
    }
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:g} {down:g}" '
        f'width="{across:g}" height="{down:g}" font-family="sans-serif" font-size="13">',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#8a94a6"/></marker></defs>',
        f'<rect width="{across:g}" height="{down:g}" fill="white"/>',
    ]
    for above, under in sorted(nx.transitive_reduction(graph).edges):
        (x, y), (u, v) = places[above], places[under]
        y, v = y + height / 2, v - height / 2
        middle = (y + v) / 2
        lines.append(
            f'<path d="M{x:g} {y:g} C{x:g} {middle:g} {u:g} {middle:g} {u:g} {v:g}" fill="none" '
            'stroke="#8a94a6" marker-end="url(#end)"/>'
        )
    for folder, (x, y) in places.items():
        lines.append(
            f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" '
            f'height="{height}" rx="6" fill="#eef3fb" stroke="#4c78a8"/>'
            f'<text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle">{escape(folder)}</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    parser = tables.parser(__doc__)
    parser.add_argument("--output", type=Path, default=_PICTURE)
    chosen = parser.parse_args(arguments)
    chosen.output.write_text(svg(folder_graph()), encoding="utf-8")
    print(f"Written: {chosen.output}")


if __name__ == "__main__":
    main()
