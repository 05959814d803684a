"""NAS-Bench-101: published counts, pruning, validity and mutation."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, product
from typing import Any

import networkx as nx
import numpy as np
import optuna
import pytest

from optuna_nas.spaces import (
    NAS_BENCH_101_OPERATIONS,
    Architecture,
    InvalidArchitectureError,
    NASBench101Space,
)
from optuna_nas.spaces.base import INVALID_REASON
from optuna_nas.spaces.canonical import canonical_form
from optuna_nas.surrogates import PathEncoding, TruncatedPathEncoding

SPACE = NASBench101Space()
CONV3, CONV1, POOL = NAS_BENCH_101_OPERATIONS
Edges = tuple[tuple[int, int], ...]


def graphs(num_vertices: int, max_edges: int = 9) -> list[Edges]:
    """All graphs on exactly these vertices in which each one lies between input and output."""
    pairs = list(combinations(range(num_vertices), 2))
    bits = (np.arange(2 ** len(pairs))[:, None] >> np.arange(len(pairs))) & 1
    chosen = bits.sum(axis=1) <= max_edges
    for vertex in range(num_vertices):
        if vertex > 0:
            chosen &= bits[:, [target == vertex for _, target in pairs]].any(axis=1)
        if vertex < num_vertices - 1:
            chosen &= bits[:, [source == vertex for source, _ in pairs]].any(axis=1)
    return [
        tuple(pair for pair, bit in zip(pairs, row, strict=True) if bit) for row in bits[chosen]
    ]


def labellings(num_vertices: int) -> Iterator[tuple[str, ...]]:
    for inner in product(NAS_BENCH_101_OPERATIONS, repeat=num_vertices - 2):
        yield ("input", *inner, "output")


def keys_of(num_vertices: int, edges: Edges) -> set[str]:
    """The keys of all labellings of a graph that is pruned already."""
    once = dict.fromkeys(edges, 1)
    return {canonical_form(labels, once) for labels in labellings(num_vertices)}


def keys_of_share(share: list[tuple[int, Edges]]) -> set[str]:
    return set().union(*(keys_of(*graph) for graph in share))


def architecture_of(edges: Edges, labels: tuple[str, ...]) -> Architecture:
    matrix = np.zeros((len(labels), len(labels)), dtype=int)
    for edge in edges:
        matrix[edge] = 1
    return SPACE.from_matrix(matrix, labels)


@pytest.fixture(scope="module")
def small_cells() -> list[Architecture]:
    """All labelled cells of at most five vertices, in the space of seven."""
    return [
        architecture_of(edges, labels)
        for num_vertices in range(2, 6)
        for edges in graphs(num_vertices)
        for labels in labellings(num_vertices)
    ]


def vertices(architecture: Architecture) -> int:
    return len(SPACE.cell(architecture).operations)


@pytest.mark.parametrize(
    ("num_vertices", "num_graphs", "num_labelled", "num_cells"),
    [(2, 1, 1, 1), (3, 3, 7, 7), (4, 13, 97, 91), (5, 134, 3_364, 2_532)],
)
def test_published_counts_of_small_cells(
    small_cells: list[Architecture],
    num_vertices: int,
    num_graphs: int,
    num_labelled: int,
    num_cells: int,
) -> None:
    assert sum(len(graphs(v)) for v in range(2, num_vertices + 1)) == num_graphs
    cells = [a for a in small_cells if vertices(a) <= num_vertices]
    assert len(cells) == len(set(cells)) == num_labelled
    assert len({a.key for a in cells}) == num_cells


@pytest.mark.parametrize(("num_vertices", "num_codes"), [(3, 7), (4, 73), (5, 1_317)])
@pytest.mark.parametrize("encoding", [PathEncoding(), TruncatedPathEncoding()])
def test_distinct_path_encodings(
    small_cells: list[Architecture], num_vertices: int, num_codes: int, encoding: PathEncoding
) -> None:
    cells = [a for a in small_cells if vertices(a) <= num_vertices]
    codes = encoding.encode(SPACE, cells)
    assert codes.shape == (len(cells), encoding.dimension(SPACE))
    assert len(np.unique(codes, axis=0)) == num_codes


def test_keys_do_not_depend_on_the_size_of_the_space(small_cells: list[Architecture]) -> None:
    five = NASBench101Space(5)
    for architecture in small_cells[::11]:
        matrix, operations = SPACE.cell(architecture)
        assert five.from_matrix(matrix, operations).key == architecture.key
        rows, columns = np.nonzero(matrix)
        edges = zip(rows.tolist(), columns.tolist(), strict=True)
        assert canonical_form(operations, dict.fromkeys(edges, 1)) == architecture.key


def test_published_count_up_to_six_vertices() -> None:
    found = [(v, edges) for v in range(2, 7) for edges in graphs(v)]
    assert len(found) == 1_679
    assert sum(3 ** (v - 2) for v, _ in found) == 128_509
    assert len(keys_of_share(found)) == 64_542


@pytest.mark.slow
def test_published_count() -> None:
    """423,624 cells, out of 1,293,208 labelled ones."""
    found = [(v, edges) for v in range(2, 8) for edges in graphs(v)]
    assert len(found) == 6_472
    assert sum(3 ** (v - 2) for v, _ in found) == 1_293_208
    shares = [found[start::8] for start in range(8)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        keys = set().union(*pool.map(keys_of_share, shares))
    assert len(keys) == 423_624


def test_parameters() -> None:
    names = list(SPACE.distributions)
    assert names[:7] == [f"edge_0_{j}" for j in range(1, 7)] + ["edge_1_2"]
    assert names[21:] == [f"op_{v}" for v in range(1, 6)]
    assert SPACE.size == 2**21 * 3**5


def test_pruning_removes_what_is_not_between_input_and_output() -> None:
    params: dict[str, Any] = dict.fromkeys((f"edge_{i}_{j}" for i, j in SPACE.edges), False)
    params |= {f"op_{v}": CONV1 for v in range(1, 6)}
    params |= {"op_2": POOL, "op_4": CONV3}
    params |= dict.fromkeys(("edge_0_2", "edge_2_4", "edge_4_6", "edge_0_6"), True)
    params |= dict.fromkeys(("edge_0_1", "edge_1_3"), True)  # leads nowhere
    params |= {"edge_5_6": True}  # comes from nowhere
    architecture = SPACE.architecture(params)
    matrix, operations = SPACE.cell(architecture)
    assert operations == ("input", POOL, CONV3, "output")
    assert matrix.tolist() == [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert SPACE.from_matrix(matrix, operations).key == architecture.key
    assert sorted(architecture.graph.edges) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    assert architecture.graph.nodes[1]["operation"] == POOL
    dead = SPACE.architecture({**params, "op_1": POOL, "op_5": POOL, "edge_3_5": True})
    assert dead.key != architecture.key  # the dead ends now join to a path of their own
    assert SPACE.architecture({**params, "op_1": POOL, "op_5": POOL}).key == architecture.key


def test_operations_on_different_vertices_are_told_apart() -> None:
    chain = ((0, 1), (1, 2), (2, 3))
    one = architecture_of(chain, ("input", CONV1, POOL, "output"))
    two = architecture_of(chain, ("input", POOL, CONV1, "output"))
    assert one.key != two.key
    branches = ((0, 1), (0, 2), (1, 3), (2, 3))
    one = architecture_of(branches, ("input", CONV1, POOL, "output"))
    two = architecture_of(branches, ("input", POOL, CONV1, "output"))
    assert one.key == two.key


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ((), "not connected"),
        (((0, 1), (0, 2), (1, 2), (3, 6)), "not connected"),
        (tuple(combinations(range(7), 2)), "the cell has 21 edges; allowed are 9"),
        (tuple(combinations((0, 1, 2, 3, 6), 2)), "the cell has 10 edges; allowed are 9"),
    ],
)
def test_invalid_cells(edges: Edges, reason: str) -> None:
    params: dict[str, Any] = {f"edge_{i}_{j}": (i, j) in edges for i, j in SPACE.edges}
    params |= {f"op_{v}": CONV1 for v in range(1, 6)}
    with pytest.raises(InvalidArchitectureError, match=reason):
        SPACE.architecture(params)
    assert SPACE.read(params) is None


def test_edges_count_after_pruning() -> None:
    """Nine edges on the way to the output and six that lead nowhere."""
    kept = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (1, 6), (2, 6), (3, 6))
    params: dict[str, Any] = {f"edge_{i}_{j}": (i, j) in kept for i, j in SPACE.edges}
    params |= {f"op_{v}": CONV1 for v in range(1, 6)}
    params |= {f"edge_{i}_{j}": True for i in (0, 1, 2) for j in (4, 5)}
    assert SPACE.cell(SPACE.architecture(params)).matrix.sum() == 9


def test_another_sampler_s_invalid_cells_are_pruned_with_the_reason() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: len(str(SPACE.suggest(trial))), n_trials=60)
    reasons = []
    for trial in study.trials:
        architecture = SPACE.read(trial.params)
        if trial.state == optuna.trial.TrialState.PRUNED:
            assert architecture is None
            reasons.append(trial.user_attrs[INVALID_REASON])
        else:
            assert architecture is not None
            assert INVALID_REASON not in trial.user_attrs
    assert 5 < len(reasons) < 30  # 27 % on average
    assert any("edges" in reason for reason in reasons)
    with pytest.raises(optuna.TrialPruned, match="Not an architecture of NASBench101Space"):
        SPACE.suggest(optuna.trial.FixedTrial(study.get_trials()[invalid(study)].params))


def invalid(study: optuna.Study) -> int:
    return next(t.number for t in study.trials if t.state == optuna.trial.TrialState.PRUNED)


def test_random_cells_are_valid_and_drawn_as_the_benchmark_does(rng: np.random.Generator) -> None:
    cells = [SPACE.random(rng) for _ in range(2_000)]
    assert all(SPACE.is_valid(a) for a in cells)
    paths = [SPACE.paths(a) for a in cells]
    # Means over 60,000 cells drawn in this way by another implementation.
    assert abs(np.mean([len(p) for p in paths]) - 2.86) < 0.15
    by_length = [np.mean([any(len(p.operations) == k for p in ps) for ps in paths]) for k in (0,)]
    assert abs(by_length[0] - 0.529) < 0.04


def test_accepted_share(rng: np.random.Generator) -> None:
    """73.3 % of uniform draws are valid."""
    accepted = 0
    for _ in range(3_000):
        params: dict[str, Any] = {f"edge_{i}_{j}": bool(rng.integers(2)) for i, j in SPACE.edges}
        params |= {f"op_{v}": CONV1 for v in range(1, 6)}
        accepted += SPACE.read(params) is not None
    assert abs(accepted / 3_000 - 0.733) < 3.3 * math.sqrt(0.733 * 0.267 / 3_000)


def test_mutation_probabilities(rng: np.random.Generator) -> None:
    """1/21 for an edge and 1/5 for an operation, each operation to one of the two others.

    The parent is a cell from which no single flip makes an invalid one, so that rejection hardly
    changes the frequencies; unchanged children are drawn again.
    """
    parent = architecture_of(((0, 1), (1, 2), (0, 2)), ("input", CONV3, "output"))
    rounds = 6_000
    children = [SPACE.mutate(parent, rng).params for _ in range(rounds)]
    unchanged = (20 / 21) ** 21 * (4 / 5) ** 5
    for name in SPACE.distributions:
        rate = sum(child[name] != parent[name] for child in children) / rounds
        expected = (1 / 21 if name.startswith("edge") else 1 / 5) / (1 - unchanged)
        assert abs(rate - expected) < 4 * math.sqrt(expected / rounds), name
    to_pool = sum(child["op_3"] == POOL for child in children)
    changed = sum(child["op_3"] != parent["op_3"] for child in children)
    assert abs(to_pool / changed - 1 / 2) < 4 / math.sqrt(4 * changed)


def test_mutants_are_valid_and_different(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    for _ in range(300):
        mutant = SPACE.mutate(architecture, rng)
        assert mutant != architecture
        assert SPACE.is_valid(mutant)
        architecture = mutant


def test_neighbors_are_valid_flips_and_two_operations_for_each_live_vertex(
    rng: np.random.Generator,
) -> None:
    for _ in range(10):
        architecture = SPACE.random(rng)
        flips = {
            flipped
            for i, j in SPACE.edges
            if (
                flipped := SPACE.read(
                    {**architecture.params, f"edge_{i}_{j}": not architecture[f"edge_{i}_{j}"]}
                )
            )
        }
        neighbors = SPACE.neighbors(architecture)
        assert len(neighbors) == len(set(neighbors))
        assert len(neighbors) == len(flips) + 2 * (vertices(architecture) - 2)
        assert flips <= set(neighbors)
        for neighbor in set(neighbors) - flips:
            (changed,) = [n for n in SPACE.distributions if neighbor[n] != architecture[n]]
            assert changed.startswith("op_")
            assert neighbor.key != architecture.key


def test_paths_are_the_simple_paths(rng: np.random.Generator) -> None:
    for _ in range(50):
        architecture = SPACE.random(rng)
        operations = SPACE.cell(architecture).operations
        last = len(operations) - 1
        paths = SPACE.paths(architecture)
        expected = sorted(map(tuple, nx.all_simple_paths(architecture.graph, 0, last)))
        assert sorted(path.route for path in paths) == expected
        for path in paths:
            assert path.operations == tuple(operations[v] for v in path.route[1:-1])


def test_notation() -> None:
    architecture = architecture_of(((0, 1), (1, 2)), ("input", POOL, "output"))
    text = str(architecture)
    bits, _, labels = text.partition(":")
    assert [pair for pair, bit in zip(SPACE.edges, bits, strict=True) if bit == "1"] == [
        (0, 1),
        (1, 6),
    ]
    assert labels == ",".join([POOL] + 4 * [CONV3])
    assert SPACE.parse(f" {text} ") == architecture


def test_round_trip(rng: np.random.Generator) -> None:
    for _ in range(100):
        architecture = SPACE.random(rng)
        assert SPACE.parse(str(architecture)) == architecture
        again = SPACE.from_matrix(*SPACE.cell(architecture))
        assert again.key == architecture.key


OPERATIONS = ",".join([CONV3] * 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1" * 20 + ":" + OPERATIONS,
        "0" * 20 + "2:" + OPERATIONS,
        "0" * 20 + "1" + OPERATIONS,
        "0" * 20 + "1:" + OPERATIONS + "," + CONV3,
        "0" * 20 + "1:" + OPERATIONS[:-1],
        "0" * 21 + ":" + OPERATIONS,  # not connected
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`text` is|`params\[|not connected"):
        SPACE.parse(text)


@pytest.mark.parametrize(
    ("matrix", "operations"),
    [
        ([[0, 1], [1, 0]], ("input", "output")),
        ([[0, 2], [0, 0]], ("input", "output")),
        ([[0, 1], [0, 0]], ("input", CONV1, "output")),
        ([[0, 1], [0, 0]], (CONV1, CONV1)),
        ([[0]], ("input",)),
        (np.triu(np.ones((8, 8), dtype=int), 1).tolist(), ("input", *[CONV1] * 6, "output")),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ("input", "conv7x7", "output")),
        ([[0, 0], [0, 0]], ("input", "output")),
    ],
)
def test_bad_matrices(matrix: list[list[int]], operations: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"`matrix` is|`operations` is|`params\[|not connected"):
        SPACE.from_matrix(np.array(matrix), operations)


@pytest.mark.parametrize("value", [2, 2.0, "7", None, True])
def test_bad_vertices(value: Any) -> None:
    with pytest.raises(ValueError, match=f"`max_vertices` is {value!r}; allowed is an"):
        NASBench101Space(value)


@pytest.mark.parametrize("value", [0, 9.0, "9", None, True])
def test_bad_edges(value: Any) -> None:
    with pytest.raises(ValueError, match=f"`max_edges` is {value!r}; allowed is an integer of 1"):
        NASBench101Space(7, value)
