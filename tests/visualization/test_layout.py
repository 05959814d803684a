from __future__ import annotations

from collections.abc import Hashable
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest

from optuna_nas.visualization.drawing.layout import Box, layered_layout, without_empty_columns
from optuna_nas.visualization.drawing.levels import spread
from optuna_nas.visualization.drawing.ordering import ordered_columns

Edge = tuple[Hashable, Hashable]


def random_drawing(seed: int) -> tuple[dict[Hashable, Box], list[Edge]]:
    rng = np.random.default_rng(seed)
    boxes: dict[Hashable, Box] = {
        node: Box(int(rank), float(rng.uniform(20, 90)), float(rng.uniform(20, 40)))
        for node, rank in enumerate([*range(5), *rng.integers(0, 5, size=7)])
    }
    edges: list[Edge] = [
        (a, b)
        for a, b in combinations(boxes, 2)
        if boxes[a].rank < boxes[b].rank and rng.random() < 0.4
    ]
    return boxes, edges


@pytest.mark.parametrize("seed", range(10))
def test_nothing_overlaps_and_edges_run_through_nothing(seed: int) -> None:
    boxes, edges = random_drawing(seed)
    layout = layered_layout(boxes, edges, gap=30, distance=10)
    for left, right in pairwise(layout.columns):
        assert right.left - left.right == pytest.approx(30)
    for rank, column in enumerate(layout.columns):
        taken = []  # from where to where each thing in the column reaches
        for node, box in boxes.items():
            if box.rank == rank:
                x, y = layout.centres[node]
                assert column.left - 0.01 < x - box.width / 2
                assert x + box.width / 2 < column.right + 0.01
                taken.append((y - box.height / 2, y + box.height / 2))
        for edge in edges:
            first, last = (boxes[end].rank for end in edge)
            assert len(layout.routes[edge]) == last - first - 1
            if first < rank < last:
                y = layout.routes[edge][rank - first - 1]
                taken.append((y, y))
        taken.sort()
        for (_, bottom), (top, _) in pairwise(taken):
            assert top - bottom > 9.99  # the distance
        assert taken[0][0] > -0.01 and taken[-1][1] < layout.height + 0.01


def crossings(order: list[list[Hashable]], edges: list[Edge]) -> int:
    place = {v: (rank, i) for rank, column in enumerate(order) for i, v in enumerate(column)}
    return sum(
        place[a][0] == place[c][0]
        and place[b][0] == place[d][0]
        and (place[a][1] - place[c][1]) * (place[b][1] - place[d][1]) < 0
        for (a, b), (c, d) in combinations(edges, 2)
    )


def columns_of(edges: list[Edge], ranks: dict[Hashable, int]) -> list[list[Hashable]]:
    graph: nx.DiGraph[Hashable] = nx.DiGraph()
    for node, rank in ranks.items():
        graph.add_node(node, rank=rank)
    graph.add_edges_from(edges)
    return ordered_columns(graph, max(ranks.values()) + 1)


def test_ladders_are_untangled() -> None:
    edges: list[Edge] = [
        (f"{r}{i}", f"{r + 1}{(5 * i + r) % 7}") for r in range(3) for i in range(7)
    ]
    ranks: dict[Hashable, int] = {f"{r}{i}": r for r in range(4) for i in range(7)}
    order = columns_of(edges, ranks)
    assert [sorted(map(str, column)) for column in order] == [
        [f"{r}{i}" for i in range(7)] for r in range(4)
    ]
    assert crossings([[f"{r}{i}" for i in range(7)] for r in range(4)], edges) > 20
    assert crossings(order, edges) == 0


def test_crossings_that_cannot_be_avoided() -> None:
    edges: list[Edge] = [(f"a{i}", f"b{j}") for i in range(3) for j in range(3)]
    ranks: dict[Hashable, int] = {f"{c}{i}": r for r, c in enumerate("ab") for i in range(3)}
    assert crossings(columns_of(edges, ranks), edges) == 9  # K_{3,3} in two columns: 3 * 3


def test_a_chain_is_level_and_a_long_edge_is_straight() -> None:
    boxes: dict[Hashable, Box] = {i: Box(i, 30, 30) for i in range(5)}
    chain: list[Edge] = [(i, i + 1) for i in range(4)]
    layout = layered_layout(boxes, [*chain, (0, 4)])
    assert len({round(height, 6) for height in layout.routes[0, 4]}) == 1
    assert len({round(layout.centres[i][1], 6) for i in (1, 2, 3)}) == 1


def test_long_edges_are_straight_where_there_is_room() -> None:
    ranks = [0, 2, 4, 6]
    boxes: dict[Hashable, Box] = {i: Box(rank, 34, 34) for i, rank in enumerate(ranks)}
    edges: list[Edge] = []
    for n, (a, b) in enumerate(combinations(range(4), 2)):  # a cell of NAS-Bench-201
        boxes[f"operation {n}"] = Box(ranks[a] + 1, 80, 26)
        edges += [(a, f"operation {n}"), (f"operation {n}", b)]
    layout = layered_layout(boxes, edges)
    steps = [
        abs(upper - lower) for route in layout.routes.values() for upper, lower in pairwise(route)
    ]
    assert len(steps) == 5 and sum(step > 1e-6 for step in steps) <= 1


def test_empty_columns_disappear() -> None:
    boxes = without_empty_columns({"a": Box(0, 1, 1), "b": Box(4, 2, 2), "c": Box(2, 3, 3)})
    assert {name: box.rank for name, box in boxes.items()} == {"a": 0, "b": 2, "c": 1}
    assert boxes["b"].width == 2


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ([], []),
        ([5.0], [5.0]),
        ([0.0, 100.0], [0.0, 100.0]),
        ([10.0, 10.0], [5.0, 15.0]),
        ([10.0, 10.0, 10.0], [0.0, 10.0, 20.0]),
        ([20.0, 0.0, 16.0], [23.0, 0.0, 13.0]),
    ],
)
def test_spread_moves_as_little_as_it_can(wishes: list[float], expected: list[float]) -> None:
    assert spread(wishes, 10) == pytest.approx(expected)
