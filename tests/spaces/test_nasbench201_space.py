"""NAS-Bench-201: published counts, and the canonical key against a second implementation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import networkx as nx
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import NAS_BENCH_201_OPERATIONS, Architecture, NASBench201Space

SPACE = NASBench201Space()
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
Classes = Callable[[Iterable["nx.DiGraph[int]"]], list[int]]
FunctionGraph = Callable[..., "nx.DiGraph[int]"]


def cell(*operations: str) -> Architecture:
    """The cell with operations on the edges in the benchmark's order; short names allowed."""
    short = {"0": "none", "=": "skip_connect", "1": "nor_conv_1x1", "3": "nor_conv_3x3"}
    short["p"] = "avg_pool_3x3"
    return SPACE.architecture(
        {
            f"edge_{i}_{j}": short.get(operation, operation)
            for (i, j), operation in zip(EDGES, operations, strict=True)
        }
    )


@pytest.fixture(scope="module")
def everything() -> list[Architecture]:
    return [cell(*operations) for operations in product(NAS_BENCH_201_OPERATIONS, repeat=6)]


def graph_of(architecture: Architecture, function_graph: FunctionGraph) -> nx.DiGraph[int]:
    edges = [(i, j, architecture[f"edge_{i}_{j}"]) for i, j in EDGES]
    return function_graph(4, edges, [3], weightless={"avg_pool_3x3"})


def test_parameters_are_one_operation_for_each_edge() -> None:
    assert SPACE.edges == EDGES
    assert list(SPACE.distributions) == [f"edge_{i}_{j}" for i, j in EDGES]
    assert set(SPACE.distributions.values()) == {
        CategoricalDistribution(
            ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
        )
    }
    assert SPACE.size == 15_625


def test_published_counts(everything: list[Architecture]) -> None:
    assert len({str(a) for a in everything}) == 15_625
    assert len({SPACE.unique_string(a) for a in everything}) == 6_466
    assert sum(a.key == "none" for a in everything) == 341
    assert len({a.key for a in everything}) == 5_044


def test_a_dead_cell_is_one_whose_output_cannot_be_reached(everything: list[Architecture]) -> None:
    for architecture in everything:
        alive: nx.DiGraph[int] = nx.DiGraph()
        alive.add_nodes_from(range(4))
        alive.add_edges_from(e for e in EDGES if architecture[f"edge_{e[0]}_{e[1]}"] != "none")
        assert (architecture.key == "none") == (not nx.has_path(alive, 0, 3))


def test_keys_of_random_cells_agree_with_graph_isomorphism(
    function_graph: FunctionGraph, classes: Classes, rng: np.random.Generator
) -> None:
    cells = [SPACE.random(rng) for _ in range(600)]
    # Near copies, so that there are many equal functions among them.
    cells += [SPACE.mutate(a, rng) for a in cells]
    numbers = classes(graph_of(a, function_graph) for a in cells)
    assert len(set(numbers)) == len({a.key for a in cells}) < len({str(a) for a in cells})
    assert len(set(zip(numbers, (a.key for a in cells), strict=True))) == len(set(numbers))


@pytest.mark.slow
def test_the_number_of_functions_is_the_number_of_isomorphism_classes(
    everything: list[Architecture], function_graph: FunctionGraph, classes: Classes
) -> None:
    numbers = classes(graph_of(a, function_graph) for a in everything)
    keys = [a.key for a in everything]
    assert len(set(numbers)) == len(set(keys)) == len(set(zip(numbers, keys, strict=True)))


def test_equal_keys_mean_equal_operations_after_folding(
    everything: list[Architecture], function_graph: FunctionGraph
) -> None:
    """So the trained networks have equally many parameters."""
    groups: dict[str, list[Architecture]] = defaultdict(list)
    for architecture in everything[::7]:
        groups[architecture.key].append(architecture)
    for group in groups.values():
        counts = [
            Counter(nx.get_node_attributes(graph_of(a, function_graph), "label").values())
            for a in group[:4]
        ]
        assert all(count == counts[0] for count in counts)


def test_keys_do_not_depend_on_the_numbering_of_inner_nodes(
    everything: list[Architecture],
) -> None:
    swapped = {0: 0, 1: 2, 2: 1, 3: 3}
    checked = 0
    for architecture in everything[::3]:
        if architecture["edge_1_2"] != "none":
            continue  # then node 1 must come before node 2
        params = {"edge_1_2": "none"}
        for i, j in EDGES:
            if (i, j) != (1, 2):
                params[f"edge_{swapped[i]}_{swapped[j]}"] = architecture[f"edge_{i}_{j}"]
        assert SPACE.architecture(params).key == architecture.key
        checked += 1
    assert checked > 900


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # A chain of skips is a direct edge, whichever nodes it visits.
        (cell("=", "0", "=", "0", "0", "="), cell("0", "0", "0", "=", "0", "0")),
        (cell("=", "0", "0", "0", "3", "0"), cell("0", "0", "0", "3", "0", "0")),
        (cell("3", "0", "=", "0", "0", "="), cell("0", "3", "0", "0", "0", "=")),
        # An operation on nothing is nothing; what nobody reads is nothing.
        (cell("0", "0", "3", "1", "0", "0"), cell("3", "1", "p", "1", "0", "0")),
        # Average pools of the same value are the same value, twice.
        (cell("p", "p", "0", "0", "3", "0"), cell("p", "0", "0", "0", "3", "0")),
        (cell("p", "p", "0", "0", "=", "="), cell("p", "0", "=", "0", "=", "=")),
        # Branches may stand at either node.
        (cell("1", "3", "0", "0", "=", "="), cell("3", "1", "0", "0", "=", "=")),
    ],
)
def test_same_function(first: Architecture, second: Architecture) -> None:
    assert first != second
    assert first.key == second.key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # One convolution read twice shares its weights; two convolutions do not.
        (cell("3", "0", "=", "0", "=", "="), cell("3", "3", "0", "0", "=", "=")),
        # The input once and twice: the scale differs from the convolution's.
        (cell("=", "0", "0", "=", "1", "0"), cell("0", "0", "0", "=", "0", "0")),
        (cell("=", "0", "0", "=", "=", "0"), cell("0", "0", "0", "=", "0", "0")),
        (cell("p", "p", "0", "0", "=", "="), cell("p", "0", "0", "0", "=", "0")),
        # The order of two operations matters, and so does what they are.
        (cell("3", "0", "0", "0", "1", "0"), cell("1", "0", "0", "0", "3", "0")),
        (cell("0", "0", "0", "3", "0", "0"), cell("0", "0", "0", "1", "0", "0")),
        # Pools of different values differ.
        (cell("3", "1", "0", "0", "p", "p"), cell("3", "3", "0", "0", "p", "p")),
    ],
)
def test_another_function(first: Architecture, second: Architecture) -> None:
    assert first.key != second.key


def test_the_published_string_is_not_exact() -> None:
    """Why the key is not the benchmark's own `unique_string`."""
    shared = cell("3", "0", "=", "0", "=", "=")
    own = cell("3", "3", "0", "0", "=", "=")
    assert SPACE.unique_string(shared) == SPACE.unique_string(own)
    assert shared.key != own.key
    over_1, over_2 = cell("=", "0", "0", "0", "3", "0"), cell("0", "=", "0", "0", "0", "3")
    assert over_1.key == over_2.key
    assert SPACE.unique_string(over_1) != SPACE.unique_string(over_2)


def test_neighbors_change_one_edge(rng: np.random.Generator) -> None:
    for _ in range(20):
        architecture = SPACE.random(rng)
        neighbors = SPACE.neighbors(architecture)
        assert len(neighbors) == len(set(neighbors)) == 24
        assert {differences(architecture, n) for n in neighbors} == {1}


def test_mutation_changes_one_edge_uniformly(rng: np.random.Generator) -> None:
    parent = cell("0", "=", "1", "3", "p", "0")
    children = Counter(str(SPACE.mutate(parent, rng)) for _ in range(6_000))
    assert set(children) == {str(neighbor) for neighbor in SPACE.neighbors(parent)}
    expected = 6_000 / 24
    chi_square = sum((count - expected) ** 2 / expected for count in children.values())
    assert chi_square < 49.7  # 99.9 % of a chi-square with 23 degrees of freedom


def test_random_cells_are_uniform(rng: np.random.Generator) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for _ in range(4_000):
        counts.update(SPACE.random(rng).params.items())
    assert len(counts) == 30
    chi_square = sum((count - 800) ** 2 / 800 for count in counts.values())
    assert chi_square < 51.2  # 24 degrees of freedom


def test_notation_of_the_benchmark() -> None:
    architecture = cell("3", "0", "=", "p", "1", "3")
    assert str(architecture) == (
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    )
    assert repr(architecture) == f"<NASBench201Space {architecture}>"


def test_parsing_reads_every_cell(everything: list[Architecture]) -> None:
    assert all(SPACE.parse(str(architecture)) == architecture for architecture in everything)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|nor_conv_3x3~0|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~3|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2",
        "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|none~1|none~2|none~3|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|sep_conv~2|",
        "x|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|-|none~0|none~1|-|none~0|none~1|none~2|",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`text` is|`params\["):
        SPACE.parse(text)


def test_paths_are_the_four_simple_paths(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    paths = SPACE.paths(architecture)
    assert [path.route for path in paths] == [(0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3)]
    assert sorted(path.route for path in paths) == sorted(
        map(tuple, nx.all_simple_paths(architecture.graph, 0, 3))
    )
    for path in paths:
        edges = zip(path.route, path.route[1:], strict=False)
        assert list(path.operations) == [architecture[f"edge_{i}_{j}"] for i, j in edges]
    assert SPACE.path_blocks["cell"].size == 155


def test_graph_has_the_operations_on_its_edges(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    operations: Mapping[Any, str] = nx.get_edge_attributes(architecture.graph, "operation")
    assert {f"edge_{i}_{j}": operation for (i, j), operation in operations.items()} == (
        architecture.params
    )


def differences(first: Architecture, second: Architecture) -> int:
    assert first.params.keys() == second.params.keys()
    return sum(first[name] != second[name] for name in first.params)
