"""Hierarchical architectures: counts, mutation, and what is left when they are flattened."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest

from optuna_nas.spaces import Architecture, HierarchicalSpace

SPACE = HierarchicalSpace()
SMALL = HierarchicalSpace(("a", "b"), (2, 1), (3, 3))


def small(first: str, second: str, cell: str) -> Architecture:
    return SMALL.parse(f"{first} / {second} / {cell}")


def test_published_counts() -> None:
    assert len(SPACE.distributions) == 6 * 6 + 10
    assert SPACE.size == 117_649**6 * 282_475_249
    motif = HierarchicalSpace(motifs=(1,), nodes=(4,))
    assert motif.size == 117_649
    names = [n for n in SPACE.distributions if n.startswith("level_3/")]
    assert 7 ** len(names) == 282_475_249


def test_mutation_changes_exactly_one_edge_of_one_motif(rng: np.random.Generator) -> None:
    parent = SPACE.random(rng)
    levels: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    for _ in range(3000):
        mutant = SPACE.mutate(parent, rng)
        [name] = (n for n in parent.params if mutant[n] != parent[n])
        level, _, edge = name.split("/")
        levels[level] += 1
        targets[f"{level}/{edge.rpartition('_')[2]}"] += 1
    assert all(abs(levels[level] - 1500) < 5 * 750**0.5 for level in ("level_2", "level_3"))
    for level, count in (("level_2", 3), ("level_3", 4)):  # targets are uniform, not edges
        expected = 1500 / count
        for node in range(1, count + 1):
            assert abs(targets[f"{level}/{node}"] - expected) < 6 * expected**0.5


def test_flattened_is_what_direct_construction_gives() -> None:
    """A cell of two motifs in a row, one of them with two ways through it."""
    architecture = small("|a~0|+|b~0|b~1|", "|none~0|+|b~0|a~1|", "|motif_0~0|+|none~0|motif_1~1|")
    direct: nx.DiGraph[Any] = nx.DiGraph()
    for source, target, operation in (
        ("in", "x", "a"),
        ("in", "y", "b"),
        ("x", "y", "b"),
        ("y", "middle", None),
        ("middle", "z", "b"),  # the dead edge of motif 1 is left out
        ("z", "out", None),
    ):
        direct.add_edge(source, target, operation=operation)
    flat = SMALL.flattened(architecture)
    assert nx.is_isomorphic(
        flat,
        direct,
        edge_match=lambda one, other: one.get("operation") == other.get("operation"),
    )
    assert nx.dag_longest_path_length(flat) == 5
    paths = SMALL.paths(architecture)
    assert sorted(tuple(o for o in path.operations if o != "skip_connect") for path in paths) == [
        ("a", "b", "b"),
        ("b", "b"),
    ]


def test_the_number_of_a_motif_does_not_matter() -> None:
    cell = "|motif_0~0|+|motif_1~0|motif_0~1|"
    one = small("|a~0|+|b~0|b~1|", "|b~0|+|a~0|none~1|", cell)
    swapped = small("|b~0|+|a~0|none~1|", "|a~0|+|b~0|b~1|", cell)
    other = "|motif_1~0|+|motif_0~0|motif_1~1|"
    turned = small("|b~0|+|a~0|none~1|", "|a~0|+|b~0|b~1|", other)
    assert one.key == turned.key != swapped.key


def test_what_is_not_used_does_not_count() -> None:
    cell = "|motif_0~0|+|motif_0~0|none~1|"
    one, other = (
        small("|a~0|+|b~0|a~1|", "|a~0|+|a~0|a~1|", cell),
        small("|a~0|+|b~0|a~1|", "|b~0|+|none~0|b~1|", cell),
    )
    assert one.key == other.key
    assert SMALL.simplify(one) == SMALL.simplify(other)
    assert str(SMALL.simplify(one)) == (
        "|a~0|+|b~0|a~1| / |none~0|+|none~0|none~1| / |none~0|+|motif_0~0|none~1|"
    )


def test_a_cell_that_computes_nothing() -> None:
    nothing = small("|a~0|+|none~0|none~1|", "|a~0|+|a~0|a~1|", "|motif_1~0|+|motif_0~0|none~1|")
    assert nothing.key == "none"
    flat = SMALL.flattened(nothing)
    assert [data["operation"] for *_, data in flat.edges(data=True)] == ["none"]


def test_three_levels(rng: np.random.Generator) -> None:
    space = HierarchicalSpace(("a", "b"), (2, 2, 1), (3, 3, 3))
    found = [path for _ in range(30) for path in space.paths(space.random(rng))]
    assert max(len(path.operations) for path in found) <= space.path_blocks["cell"].max_length
    for _ in range(30):
        flat = space.flattened(space.random(rng))
        assert nx.is_directed_acyclic_graph(flat)
        assert {d.get("operation") for *_, d in flat.edges(data=True)} <= {"a", "b", None, "none"}


@pytest.mark.parametrize(
    "text",
    [
        "|a~0|+|b~0|a~1|",
        "|a~0|+|b~0|a~1| / |a~0|+|b~0| / |motif_0~0|+|motif_0~0|none~1|",
        "|a~0|+|b~0|c~1| / |a~0|+|b~0|a~1| / |motif_0~0|+|motif_0~0|none~1|",
        "|a~0|+|b~0|a~1| / |a~0|+|b~0|a~1| / |a~0|+|motif_0~0|none~1|",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`text` is|`params\["):
        SMALL.parse(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"motifs": (6, 2)}, "the last number of motifs being 1"),
        ({"motifs": (1,)}, "as many numbers of nodes as of motifs"),
        ({"motifs": (0, 1)}, "`motifs` is 0; allowed is an integer from 1"),
        ({"nodes": (1, 5)}, "`nodes` is 1; allowed is an integer from 2"),
        ({"operations": ("a",)}, "`operations` is"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HierarchicalSpace(**options)
