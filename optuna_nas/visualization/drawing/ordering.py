"""Order the columns of a layered drawing so that few edges cross.

Sweeps to and fro sort each column by the barycentres of its vertices' neighbours in the column
before, and vertices one above the other are swapped where that helps. This is repeated from
several starting orders; the order with the fewest crossings is taken.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from itertools import pairwise

import networkx as nx

__all__ = ["ordered_columns"]

_STARTS = 8
_SWEEPS = 12


def ordered_columns(graph: nx.DiGraph[Hashable], ranks: int) -> list[list[Hashable]]:
    """Order the vertices of each column so that few edges cross.

    Args:
        graph: A graph whose edges lead from one rank to the next; the nodes have the attribute
            `rank`.
        ranks: How many ranks there are.

    Returns:
        For each rank its vertices from top to bottom.
    """
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
    """Swap what stands one above the other wherever that undoes more crossings than it makes."""
    place = {v: i for column in order for i, v in enumerate(column)}
    for column in order:
        for i in range(len(column) - 1):
            v, w = column[i], column[i + 1]
            gain = sum(
                (place[a] > place[b]) - (place[a] < place[b])
                for neighbours in (graph.predecessors, graph.successors)
                for a in neighbours(v)
                for b in neighbours(w)
            )
            if gain > 0:
                column[i], column[i + 1] = w, v
        place.update({v: i for i, v in enumerate(column)})


def _crossings(graph: nx.DiGraph[Hashable], order: Sequence[Sequence[Hashable]]) -> int:
    total = 0
    for left, right in pairwise(order):
        place = {v: i for i, v in enumerate(right)}
        ends = [sorted(place[s] for s in graph.successors(v)) for v in left]
        pairs = [(i, end) for i, several in enumerate(ends) for end in several]
        total += sum(a < b and x > y for a, x in pairs for b, y in pairs)
    return total


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
