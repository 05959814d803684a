"""Cells of any number of nodes with operations of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import pairwise, product
from typing import Any

import networkx as nx
import numpy as np
import pytest

from optuna_nas.spaces import CellSpace, NASBench201Space, space_from_dict

Classes = Callable[[Iterable["nx.DiGraph[int]"]], list[int]]
FunctionGraph = Callable[..., "nx.DiGraph[int]"]


@pytest.mark.parametrize("num_nodes", [2, 3, 4, 5])
def test_sizes(num_nodes: int, rng: np.random.Generator) -> None:
    space = CellSpace(num_nodes, ("swish", "conv7x7", "none"))
    edges = num_nodes * (num_nodes - 1) // 2
    assert len(space.edges) == len(space.distributions) == edges
    assert space.size == 3**edges
    architecture = space.random(rng)
    assert len(space.neighbors(architecture)) == 2 * edges
    assert space.parse(str(architecture)) == architecture
    # Every subset of the inner nodes is one path.
    assert len(space.paths(architecture)) == 2 ** (num_nodes - 2)
    assert space.path_blocks["cell"].size == sum(3**k for k in range(1, num_nodes))


@pytest.mark.parametrize("num_nodes", [2, 3, 4, 5])
def test_paths_are_the_simple_paths_of_the_graph(num_nodes: int, rng: np.random.Generator) -> None:
    space = CellSpace(num_nodes, ("a", "b", "c", "none"))
    for _ in range(10):
        architecture = space.random(rng)
        graph = architecture.graph
        routes = [tuple(route) for route in nx.all_simple_paths(graph, 0, num_nodes - 1)]
        paths = space.paths(architecture)
        assert sorted(path.route for path in paths) == sorted(routes)
        for path in paths:
            assert path.operations == tuple(
                graph.edges[edge]["operation"] for edge in pairwise(path.route)
            )


def test_edges_are_by_target_then_source() -> None:
    space = CellSpace(4, ("a", "b"))
    assert space.edges == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    architecture = space.architecture(dict(zip(space.distributions, "abbaba", strict=True)))
    assert str(architecture) == "|a~0|+|b~0|b~1|+|a~0|b~1|a~2|"
    assert [space.operation(architecture, edge) for edge in space.edges] == list("abbaba")


def test_the_smallest_space_has_as_many_functions_as_operations() -> None:
    space = CellSpace(2, ("none", "skip_connect", "conv"))
    keys = {space.architecture({"edge_0_1": name}).key for name in space.operations}
    assert len(keys) == 3


@pytest.mark.parametrize("num_nodes", [3, 4, 5])
def test_keys_agree_with_graph_isomorphism(
    num_nodes: int, function_graph: FunctionGraph, classes: Classes, rng: np.random.Generator
) -> None:
    space = CellSpace(
        num_nodes, ("none", "skip_connect", "conv", "pool", "half"), weightless=["pool", "half"]
    )
    cells = [space.random(rng) for _ in range(150)]
    for _ in range(2):
        cells += [space.mutate(a, rng) for a in cells]
    numbers = classes(
        function_graph(
            num_nodes,
            [(i, j, space.operation(a, (i, j))) for i, j in space.edges],
            [num_nodes - 1],
            weightless={"pool", "half"},
        )
        for a in cells
    )
    keys = [a.key for a in cells]
    assert len(set(numbers)) == len(set(keys)) == len(set(zip(numbers, keys, strict=True)))
    assert len(set(keys)) < len(set(cells))


def test_weightless_operations_merge_only_where_declared() -> None:
    twice = {"edge_0_1": "f", "edge_0_2": "f", "edge_1_2": "none"}
    twice |= {"edge_0_3": "none", "edge_1_3": "skip_connect", "edge_2_3": "skip_connect"}
    shared = twice | {"edge_0_2": "none", "edge_1_2": "skip_connect"}
    operations = ("none", "skip_connect", "f")
    pure = CellSpace(4, operations, weightless=["f"])
    own = CellSpace(4, operations)
    assert pure.architecture(twice).key == pure.architecture(shared).key
    assert own.architecture(twice).key != own.architecture(shared).key
    assert pure != own


def test_published_poolings_are_weightless_by_default() -> None:
    assert CellSpace(3, ("conv", "max_pool_3x3", "avg_pool_3x3")).weightless == (
        "avg_pool_3x3",
        "max_pool_3x3",
    )
    assert CellSpace(3, ("conv", "max_pool_3x3"), weightless=[]).weightless == ()


def test_a_cell_space_equals_its_like_only() -> None:
    space = NASBench201Space()
    same = CellSpace(4, space.operations)
    assert same == CellSpace(4, list(space.operations))
    assert same != space
    assert same != CellSpace(4, space.operations[::-1])
    assert same != CellSpace(5, space.operations)
    again = space_from_dict(json.loads(json.dumps(same.to_dict())))
    assert again == same
    assert hash(again) == hash(same)


def test_round_trip_through_the_notation() -> None:
    space = CellSpace(3, ("a-b", "C.d", "_9"))
    for operations in product(space.operations, repeat=3):
        params = dict(zip(space.distributions, operations, strict=True))
        architecture = space.architecture(params)
        assert space.parse(f" {architecture}\n") == architecture
        assert space.parse(str(architecture)).params == params


@pytest.mark.parametrize(
    "name",
    ["", "a~0", "a|b", "a+b", "a b", "a\n", "@0", "=", "a,b", "a;b", "../a", "é", "a'", "{a}", 3],
)
def test_hostile_names_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"`operations` is .*allowed are names"):
        CellSpace(3, ("conv", name))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, ("a", "b")), "`num_nodes` is 1; allowed is an integer from 2 to 16"),
        ((True, ("a", "b")), "`num_nodes` is True"),
        ((3.0, ("a", "b")), "`num_nodes` is 3.0"),
        (("3", ("a", "b")), "`num_nodes` is '3'"),
        ((3, ("a",)), "`operations` is .'a',.; allowed are two or more different names"),
        ((3, ("a", "b", "a")), "two or more different names"),
        ((3, "ab"), "`operations` is 'ab'; allowed are names"),
    ],
)
def test_bad_arguments(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CellSpace(*arguments)


def test_weightless_must_be_operations() -> None:
    with pytest.raises(ValueError, match=r"`weightless` names \['c'\]; allowed are .*'a', 'b'"):
        CellSpace(3, ("a", "b"), weightless=["c"])
