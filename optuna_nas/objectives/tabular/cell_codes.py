"""Exact canonical codes of NAS-Bench-101 cells, fast enough for the whole table.

A cell has an input, an output and at most five inner vertices, so isomorphism is a question of
5! = 120 orders of the inner vertices. A cell's code is the least of 120 numbers:

1. cells are two small numbers: 21 bits of edges, and one of four labels (three operations, or
   absent) for each of five inner slots;
2. for each order, tables say where a group of seven edge bits and the labels go in a number of 41
   bits; three look-ups and one for the labels give the number of that order;
3. the least number is the code: equal exactly for isomorphic cells.

For one cell the look-ups of all orders are one numpy expression; for all cells they are one for
each order.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SLOTS = 5
"""Inner vertices of the largest cell; the input is 0, slots are 1 to 5, the output is 6."""
OUTPUT = SLOTS + 1
ABSENT = 3
"""Label of a slot without a vertex."""
NO_VERTEX = 4**SLOTS - 1
"""The labels of a cell without inner vertices."""

_CHUNK = 7
_EDGES = OUTPUT * (OUTPUT + 1) // 2
_EDGE_BITS = SLOTS * (SLOTS - 1) + 2 * SLOTS + 1


class _Tables(NamedTuple):
    edges: NDArray[np.int64]  # 120 orders x 3 groups x 128 settings of seven edges
    labels: NDArray[np.int64]  # 120 orders x 1024 labellings


def edge_bit(source: int, target: int) -> int:
    """The bit of an edge, `source < target`: by target, then source."""
    return source + target * (target - 1) // 2


def label_digit(slot: int) -> int:
    """What a label of this slot (1 to 5) is multiplied with."""
    return int(4 ** (slot - 1))


def code(edges: int, labels: int) -> int:
    """Return the canonical code of one cell.

    Args:
        edges: The sum of `1 << edge_bit(i, j)` of its edges.
        labels: The sum of `label * label_digit(slot)`, absent vertices included.
    """
    tables = _tables()
    numbers = (
        tables.edges[:, 0, edges & 127]
        | tables.edges[:, 1, edges >> _CHUNK & 127]
        | tables.edges[:, 2, edges >> 2 * _CHUNK]
        | tables.labels[:, labels]
    )
    return int(numbers.min())


def codes(edges: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the canonical codes of `n` cells; arguments as for :func:`code`."""
    groups = [edges & 127, edges >> _CHUNK & 127, edges >> 2 * _CHUNK]
    least = np.full(len(edges), np.iinfo(np.int64).max)
    for by_edges, by_labels in zip(*_tables(), strict=True):
        numbers = by_labels[labels]
        for table, group in zip(by_edges, groups, strict=True):
            numbers |= table[group]
        np.minimum(least, numbers, out=least)
    return least


@cache
def _tables() -> _Tables:
    orders = np.array(list(permutations(range(SLOTS))))
    # Where each vertex goes: input and output stay.
    places = np.zeros((len(orders), SLOTS + 2), np.int64)
    places[:, 1:OUTPUT], places[:, OUTPUT] = orders + 1, OUTPUT
    bits = np.zeros((len(orders), _EDGES), np.int64)
    for target in range(1, OUTPUT + 1):
        for source in range(target):
            bits[:, edge_bit(source, target)] = 1 << _place(places[:, source], places[:, target])
    settings = np.arange(1 << _CHUNK) >> np.arange(_CHUNK)[:, None] & 1  # 7 bits x 128 settings
    labellings = np.arange(4**SLOTS)[:, None] // 4 ** np.arange(SLOTS) % 4  # 1024 x 5 slots
    return _Tables(
        bits.reshape(len(orders), -1, _CHUNK) @ settings,
        (1 << (_EDGE_BITS + 2 * orders)) @ labellings.T,
    )


def _place(source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bit of an edge between any two vertices, the input first or the output last."""
    number = np.full((SLOTS + 2, SLOTS + 2), -1)
    pairs = [(i, j) for i in range(OUTPUT) for j in range(1, OUTPUT + 1) if i != j]
    for bit, pair in enumerate(pairs):
        number[pair] = bit
    found: NDArray[np.int64] = number[source, target]
    return found
