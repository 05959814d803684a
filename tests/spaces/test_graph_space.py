"""What follows from the parameters and the graph of a space."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    DARTSSpace,
    EdgeNESSpace,
    GraphSpace,
    InvalidArchitectureError,
    LayerDropSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.spaces.architecture import PathBlock
from optuna_nas.spaces.computation import graph_key, graph_paths

OPERATIONS = ("conv", "skip_connect", "max_pool_3x3")


class ChainOfTwo(GraphSpace):
    """Two operations on nodes, one after the other or side by side, `width` times as wide."""

    def __init__(self) -> None:
        super().__init__(
            {
                "first": CategoricalDistribution(OPERATIONS),
                "second": CategoricalDistribution(OPERATIONS),
                "beside": CategoricalDistribution((False, True)),
                "width": IntDistribution(2, 8, step=2),
            },
            groups=[["second", "first"], ["beside"], ["width"]],
        )

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        return {"cell": PathBlock(OPERATIONS, 1, 2, None, "skip_connect")}

    def validate(self, architecture: Architecture) -> None:
        if architecture["beside"] and architecture["width"] == 8:
            raise InvalidArchitectureError("too wide")

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph(width=architecture["width"])
        graph.add_node("output", label="output")  # before those that it reads
        for name in ("first", "second"):
            graph.add_node(name, label=name, operation=architecture[name])
        graph.add_node("input", label="input")
        graph.add_edge("input", "first")
        graph.add_edge("input" if architecture["beside"] else "first", "second")
        graph.add_edge("second", "output")
        if architecture["beside"]:
            graph.add_edge("first", "output")
        return graph


SPACE = ChainOfTwo()


def chain(first: str, second: str, beside: bool = False, width: int = 4) -> Architecture:
    values = {"first": first, "second": second, "beside": beside, "width": width}
    return SPACE.architecture(values)


def test_everything_random_is_valid_and_every_value_occurs(rng: np.random.Generator) -> None:
    drawn = [SPACE.random(rng) for _ in range(300)]
    assert all(SPACE.architecture(a.params) == a for a in drawn)
    for name, values in {
        "first": OPERATIONS,
        "beside": (False, True),
        "width": (2, 4, 6, 8),
    }.items():
        assert {a[name] for a in drawn} == set(values)


def test_mutation_chooses_a_group_and_then_a_parameter(rng: np.random.Generator) -> None:
    parent = chain("conv", "skip_connect")
    changed: Counter[str] = Counter()
    for _ in range(3000):
        mutant = SPACE.mutate(parent, rng)
        [name] = (n for n in parent.params if mutant[n] != parent[n])
        changed[name] += 1
    expected = {"first": 500, "second": 500, "beside": 1000, "width": 1000}
    assert changed.keys() == expected.keys()
    assert all(abs(changed[n] - e) < 5 * e**0.5 for n, e in expected.items())


def test_neighbors_are_all_single_changes_that_are_valid() -> None:
    neighbors = SPACE.neighbors(chain("conv", "conv", beside=True, width=6))
    assert len(neighbors) == len(set(neighbors)) == 2 + 2 + 1 + 1  # 8 is too wide here
    assert {n["width"] for n in neighbors} == {4, 6}


def test_a_child_has_whole_groups_of_either_parent(rng: np.random.Generator) -> None:
    ours, theirs = chain("conv", "conv", False, 8), chain("skip_connect", "max_pool_3x3", True, 2)
    children: Counter[Architecture] = Counter(
        SPACE.crossover(ours, theirs, rng) for _ in range(1400)
    )
    assert len(children) == 2**3 - 2  # two of them would be too wide
    assert all(abs(n - 1400 / 6) < 5 * (1400 / 6) ** 0.5 for n in children.values())
    for child in children:
        assert (child["first"], child["second"]) in {
            ("conv", "conv"),
            ("skip_connect", "max_pool_3x3"),
        }


def test_keys_fold_what_is_the_same_function() -> None:
    assert chain("conv", "skip_connect").key == chain("skip_connect", "conv").key
    assert chain("conv", "conv").key != chain("conv", "skip_connect").key
    twice, once = (
        chain("max_pool_3x3", second, beside=True) for second in ("max_pool_3x3", "skip_connect")
    )
    assert twice.key != once.key
    assert chain("conv", "max_pool_3x3", True).key == chain("max_pool_3x3", "conv", True).key


def concatenation(*operations: str | None, combine: str | None, then: str | None) -> str:
    """The key of operations side by side on one input, joined, and read on."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node(0, label="input")
    graph.add_node("join", label="join", **({} if combine is None else {"combine": combine}))
    for number, operation in enumerate(operations, start=1):
        graph.add_node(number, label=str(number))
        graph.add_edge(0, number, operation=operation)
        graph.add_edge(number, "join")
    if then is not None:
        graph.add_node("output", label="output")
        graph.add_edge("join", "output", operation=then)
    return graph_key(graph, {"max_pool_3x3"})


@pytest.mark.parametrize("then", [None, "conv", "max_pool_3x3", "skip_connect"])
def test_concatenations_have_no_order_and_are_no_sums(then: str | None) -> None:
    three = ("conv", "dil", "max_pool_3x3")
    key = concatenation(*three, combine="concat", then=then)
    assert key == concatenation(*reversed(three), combine="concat", then=then)
    assert key != concatenation(*three, combine=None, then=then)
    assert key != concatenation(*three[:2], combine="concat", then=then)
    twice = concatenation(*three, "max_pool_3x3", combine="concat", then=then)
    assert key != twice
    if then is not None:
        single = concatenation("conv", "none", combine="concat", then=then)
        assert single == concatenation("conv", combine=None, then=then)


def test_a_skip_that_halves_the_resolution_has_weights() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node(0, label="input")
    graph.add_node(1, label="output")
    graph.add_edge(0, 1, operation="skip_connect")
    plain = graph_key(graph, ())
    graph.edges[0, 1]["strided"] = True
    assert graph_key(graph, ()) != plain


def test_paths_of_operations_on_nodes() -> None:
    assert SPACE.paths(chain("conv", "max_pool_3x3")) == [
        ("cell", (0, 1, 2, 3), ("conv", "max_pool_3x3"))
    ]
    beside = SPACE.paths(chain("conv", "max_pool_3x3", beside=True))
    assert sorted(beside) == [
        ("cell", (0, 1, 3), ("conv",)),
        ("cell", (0, 2, 3), ("max_pool_3x3",)),
    ]


def test_paths_of_operations_on_edges_know_where_these_end() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    for node in range(6):
        graph.add_node(node, label=str(node))
    for source, target, operation in ((0, 1, "a"), (0, 2, "b"), (3, 4, "c")):
        graph.add_edge(source, target, operation=operation)
    graph.add_edges_from([(1, 3), (2, 3), (4, 5)])
    assert graph_paths(graph) == [
        ("cell", (0, 1, 3, 4), ("a", "skip_connect", "c")),
        ("cell", (0, 2, 3, 4), ("b", "skip_connect", "c")),
    ]


def test_texts_are_json() -> None:
    architecture = chain("conv", "conv", True, 2)
    text = '{"first": "conv", "second": "conv", "beside": true, "width": 2}'
    assert str(architecture) == text
    assert SPACE.parse(text) == architecture
    for wrong in ("{}", "[1]", text.replace("}", ', "more": 1}'), text[:-1]):
        with pytest.raises(ValueError, match=r"`text` is .*; needed is a JSON object"):
            SPACE.parse(wrong)
    with pytest.raises(ValueError, match=r"`params\['width'\]` is 3"):
        SPACE.parse(text.replace("2}", "3}"))


def test_groups_hold_each_parameter_once() -> None:
    class Twice(ChainOfTwo):
        def __init__(self) -> None:
            GraphSpace.__init__(self, SPACE.distributions, groups=[["first"], ["first"]])

    with pytest.raises(ValueError, match=r"`groups` has \['first', 'first'\]"):
        Twice()


def test_a_space_without_anything_valid_says_so(rng: np.random.Generator) -> None:
    class Nothing(ChainOfTwo):
        def validate(self, architecture: Architecture) -> None:
            raise InvalidArchitectureError("never")

    space, parent = Nothing(), chain("conv", "conv")
    for draw in (space.random, lambda rng: space.mutate(parent, rng)):
        with pytest.raises(ValueError, match="Nothing found nothing valid"):
            draw(rng)
    assert space.neighbors(parent) == []
    assert space.crossover(parent, parent, rng) is parent


RECORDED: dict[str, tuple[SearchSpace, str]] = {
    "edge-nes": (EdgeNESSpace(), "e7f32843ddf248ac"),
    "edge-nes-two": (EdgeNESSpace(("none", "mine", "skip_connect"), 2), "8ba0bb8e73c9db6d"),
    "201": (NASBench201Space(), "3b13c26ccb11f53b"),
    "cell-5": (
        CellSpace(5, ("skip_connect", "mine", "max_pool_3x3", "x"), weightless=["x"]),
        "4b3f6e54e3e9fc7b",
    ),
    "darts": (DARTSSpace(), "4fb9f8ea566f8b33"),
    "darts-three": (DARTSSpace(("sep_conv_3x3", "skip_connect", "none")), "b00a541e0877ba03"),
    "101": (NASBench101Space(), "6930aa0b64f89e7a"),
    "layers": (LayerDropSpace(12), "488a54e2bb3cb32f"),
}
"""Digests of what follows, recorded when each of these spaces was written out by hand."""


@pytest.mark.parametrize("name", RECORDED)
def test_texts_keys_paths_and_random_walks_are_as_they_were(name: str) -> None:
    """Studies that were stored hold such texts and keys, and go on with such proposals."""
    space, digest = RECORDED[name]
    rng, seen = np.random.default_rng(14), hashlib.sha256()
    for _ in range(60):
        architecture = space.random(rng)
        for _ in range(4):
            params = list(architecture.params.items())
            found = [str(architecture), architecture.key, params, space.paths(architecture)]
            seen.update(json.dumps(found).encode())
            assert space.parse(str(architecture)) == architecture
            architecture = space.mutate(architecture, rng)
        neighbors = [str(neighbor) for neighbor in space.neighbors(architecture)]
        seen.update(json.dumps(neighbors).encode())
    assert seen.hexdigest()[:16] == digest
