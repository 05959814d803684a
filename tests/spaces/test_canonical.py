"""Canonical forms: equal exactly for isomorphic graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.spaces.canonical import canonical_form

Classes = Callable[[Iterable["nx.DiGraph[int]"]], list[int]]
Graph = tuple[list[str], dict[tuple[int, int], int]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    labels = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=7))
    pairs = [(i, j) for j in range(len(labels)) for i in range(j)]
    counts = draw(st.lists(st.integers(0, 2), min_size=len(pairs), max_size=len(pairs)))
    return labels, {pair: n for pair, n in zip(pairs, counts, strict=True) if n}


@given(graphs(), st.randoms(use_true_random=False))
def test_renumbering_changes_nothing(graph: Graph, random: np.random.RandomState) -> None:
    labels, edges = graph
    order = list(range(len(labels)))
    random.shuffle(order)
    renumbered = [""] * len(labels)
    for old, new in enumerate(order):
        renumbered[new] = labels[old]
    moved = {(order[source], order[target]): count for (source, target), count in edges.items()}
    assert canonical_form(renumbered, moved) == canonical_form(labels, edges)


@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_agrees_with_graph_isomorphism(
    size: int, classes: Classes, rng: np.random.Generator
) -> None:
    """Few labels and regular graphs, where refining colours alone does not tell vertices apart."""
    forms, drawn = [], []
    for _ in range(150):
        labels = [str(label) for label in rng.choice(["a", "b"], size=size, p=[0.8, 0.2])]
        edges = {
            (i, j): int(rng.choice([1, 1, 2]))
            for i in range(size)
            for j in range(size)
            if i != j and rng.random() < 0.4
        }
        graph: nx.DiGraph[int] = nx.DiGraph()
        for vertex, label in enumerate(labels):
            graph.add_node(vertex, label=label)
        for (i, j), count in edges.items():
            graph.add_edge(i, j, count=count)
        drawn.append(graph)
        forms.append(canonical_form(labels, edges))
    numbers = classes(drawn)
    assert len(set(numbers)) == len(set(forms)) == len(set(zip(numbers, forms, strict=True)))


def test_regular_graphs_that_colour_refinement_confuses() -> None:
    """Two triangles and one hexagon: all vertices look alike, yet the graphs differ."""

    def both_ways(pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
        return {edge: 1 for i, j in pairs for edge in ((i, j), (j, i))}

    triangles = both_ways([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)])
    hexagon = both_ways([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)])
    mixed = both_ways([(0, 2), (2, 4), (4, 0), (1, 3), (3, 5), (5, 1)])
    assert canonical_form("aaaaaa", triangles) != canonical_form("aaaaaa", hexagon)
    assert canonical_form("aaaaaa", triangles) == canonical_form("aaaaaa", mixed)


@pytest.mark.parametrize(
    ("labels", "edges"),
    [
        ("ab", {(1, 0): 1}),  # the other direction
        ("ab", {(0, 1): 2}),  # another multiplicity
        ("aa", {(0, 1): 1}),  # other labels
        ("abb", {(0, 1): 1}),  # one more vertex
        ("ab", {}),
    ],
)
def test_every_part_of_a_graph_counts(labels: str, edges: dict[tuple[int, int], int]) -> None:
    assert canonical_form(labels, edges) != canonical_form("ab", {(0, 1): 1})


def test_vertices_that_only_look_alike(rng: np.random.Generator) -> None:
    """Five corners in a ring of two and a ring of three, all fed by one source.

    Refining colours cannot tell them apart, they have the same predecessors, and yet it matters
    which is singled out first: every numbering must come to the same choice.
    """
    sides = [(0, 1), (1, 0), (2, 3), (3, 4), (4, 2)]
    labels = ["corner"] * 5 + ["side"] * 5 + ["source"]
    edges = {(corner, 5 + n): 1 for n, side in enumerate(sides) for corner in side}
    edges |= {(10, corner): 1 for corner in range(5)}
    forms = set()
    for _ in range(20):
        order = rng.permutation(11).tolist()
        renumbered = [""] * 11
        for old, new in enumerate(order):
            renumbered[new] = labels[old]
        moved = {(order[source], order[target]): 1 for source, target in edges}
        forms.add(canonical_form(renumbered, moved))
    assert len(forms) == 1
