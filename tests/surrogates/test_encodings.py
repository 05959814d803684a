"""Encodings, bit by bit."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces import (
    NAS_BENCH_101_OPERATIONS,
    Architecture,
    CellSpace,
    DARTSSpace,
    FlatSpace,
    Genotype,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.surrogates import (
    AdjacencyEncoding,
    Encoding,
    FoldedEncoding,
    JoinedEncoding,
    OneHotEncoding,
    PathEncoding,
    TruncatedPathEncoding,
)

S101, S201, DARTS = NASBench101Space(), NASBench201Space(), DARTSSpace()
CONV3, CONV1, POOL = NAS_BENCH_101_OPERATIONS


def bits(encoding: Encoding, architecture: Architecture) -> list[int]:
    (row,) = encoding.encode(architecture.space, [architecture])
    return [int(index) for index in np.flatnonzero(row)]


def cell_101(edges: list[tuple[int, int]], *operations: str) -> Architecture:
    labels = ("input", *operations, "output")
    matrix = np.zeros((len(labels), len(labels)), dtype=int)
    for edge in edges:
        matrix[edge] = 1
    return S101.from_matrix(matrix, labels)


@pytest.mark.parametrize(
    ("space", "encoding", "size"),
    [
        (S101, PathEncoding(), 364),
        (S101, TruncatedPathEncoding(), 40),
        (S101, PathEncoding(2), 13),
        (S101, AdjacencyEncoding(), 26),
        (S101, OneHotEncoding(), 36),
        (S201, PathEncoding(), 155),
        (S201, TruncatedPathEncoding(), 30),
        (S201, PathEncoding(99), 155),
        (S201, AdjacencyEncoding(), 6),
        (S201, OneHotEncoding(), 30),
        (DARTS, PathEncoding(), 18_724),
        (DARTS, TruncatedPathEncoding(), 4 * (1 + 8 + 64)),
        (DARTSSpace(DARTS.operations[1:]), PathEncoding(), 11_204),
        (DARTS, AdjacencyEncoding(), 22),
        (DARTS, OneHotEncoding(), 2 * (8 * 8 + 3 + 6 + 10)),
        (CellSpace(2, ("a", "b")), TruncatedPathEncoding(), 2),
        (CellSpace(3, ("a", "b")), OneHotEncoding(), 3),
        (S201, PathEncoding(fold=True), 1 + 3 + 9 + 27),
        (S201, PathEncoding(1, fold=True), 1 + 3),
        (S201, FoldedEncoding(), 30 + 40),
        (S101, FoldedEncoding(), 36 + 364),
        (DARTS, PathEncoding(fold=True), 2 * 1_555 + 2 * 2_801),
        (CellSpace(2, ("none", "skip_connect")), PathEncoding(fold=True), 1),
        (S201, JoinedEncoding(OneHotEncoding(), AdjacencyEncoding(), PathEncoding()), 191),
    ],
)
def test_sizes(
    space: SearchSpace, encoding: Encoding, size: int, rng: np.random.Generator
) -> None:
    assert encoding.dimension(space) == size
    architectures = [space.random(rng) for _ in range(5)]
    encoded = encoding.encode(space, architectures)
    assert encoded.shape == (5, size)
    assert encoded.dtype == np.float32
    if isinstance(encoding, PathEncoding):
        assert set(np.unique(encoded)) <= {0.0, 1.0}
    assert encoding.encode(space, []).shape == (0, size)


def test_rows_are_independent(rng: np.random.Generator) -> None:
    for encoding in (PathEncoding(), OneHotEncoding(), AdjacencyEncoding()):
        architectures = [S101.random(rng) for _ in range(6)]
        together = encoding.encode(S101, architectures)
        for row, architecture in zip(together, architectures, strict=True):
            assert np.array_equal(row, encoding.encode(S101, [architecture])[0])


# The digits of NAS-Bench-201 are those of the names in alphabetical order:
# avg_pool 0, none 1, conv1x1 2, conv3x3 3, skip 4.
@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (("avg_pool_3x3",) * 6, [0, 5, 30]),
        (("none",) * 6, [1, 5 + 1 + 5, 30 + 1 + 5 + 25]),
        (("skip_connect",) * 6, [4, 29, 154]),
        (  # 0>1 conv3x3, 0>2 pool, 1>2 none, 0>3 none, 1>3 skip, 2>3 conv1x1
            (
                *("nor_conv_3x3", "avg_pool_3x3", "none"),
                *("none", "skip_connect", "nor_conv_1x1"),
            ),
            [1, 5 + 0 + 5 * 2, 5 + 3 + 5 * 4, 30 + 3 + 5 * 1 + 25 * 2],
        ),
    ],
)
def test_bits_of_nasbench201(edges: tuple[str, ...], expected: list[int]) -> None:
    architecture = S201.architecture(dict(zip(S201.distributions, edges, strict=True)))
    assert bits(PathEncoding(), architecture) == sorted(expected)
    assert bits(TruncatedPathEncoding(), architecture) == sorted(b for b in expected if b < 30)


def test_nasbench201_has_three_or_four_bits(rng: np.random.Generator) -> None:
    """The two paths of length two share a block, so they may fall together."""
    architectures = [S201.random(rng) for _ in range(300)]
    counts = PathEncoding().encode(S201, architectures).sum(axis=1)
    assert set(counts) == {3.0, 4.0}
    for architecture, count in zip(architectures, counts, strict=True):
        short = [p.operations for p in S201.paths(architecture) if len(p.operations) == 2]
        assert (count == 3) == (short[0] == short[1])


# Bijective base 3: conv3x3 1, conv1x1 2, maxpool 3.
@pytest.mark.parametrize(
    ("edges", "operations", "expected"),
    [
        ([(0, 1)], (), [0]),
        ([(0, 1), (1, 2)], (CONV3,), [1]),
        ([(0, 1), (1, 2)], (CONV1,), [2]),
        ([(0, 1), (1, 2), (0, 2)], (POOL,), [0, 3]),
        ([(0, 1), (1, 2), (2, 3)], (CONV3, CONV3), [1 + 3]),
        ([(0, 1), (1, 2), (2, 3)], (POOL, CONV1), [3 + 2 * 3]),
        ([(0, 1), (1, 2), (2, 3)], (POOL, POOL), [12]),
        ([(i, i + 1) for i in range(4)], (CONV3, CONV3, CONV3), [13]),
        ([(i, i + 1) for i in range(4)], (POOL, POOL, POOL), [39]),
        ([(i, i + 1) for i in range(5)], (CONV3,) * 4, [40]),
        ([(i, i + 1) for i in range(6)], (CONV3,) * 5, [121]),
        ([(i, i + 1) for i in range(6)], (POOL,) * 5, [363]),
        ([(i, i + 1) for i in range(6)], (CONV1, *(CONV3,) * 3, POOL), [2 + 3 + 9 + 27 + 3 * 81]),
        # Two ways with the same operations are one bit.
        ([(0, 1), (0, 2), (1, 3), (2, 3)], (CONV1, CONV1), [2]),
        ([(0, 1), (0, 2), (1, 3), (2, 3), (1, 2)], (CONV1, CONV3), [1, 2, 2 + 3]),
    ],
)
def test_bits_of_nasbench101(
    edges: list[tuple[int, int]], operations: tuple[str, ...], expected: list[int]
) -> None:
    architecture = cell_101(edges, *operations)
    assert bits(PathEncoding(), architecture) == expected
    assert bits(TruncatedPathEncoding(), architecture) == [b for b in expected if b < 40]
    assert bits(PathEncoding(1), architecture) == [b for b in expected if b < 4]


def test_isomorphic_cells_have_one_code(rng: np.random.Generator) -> None:
    codes: dict[str, bytes] = {}
    for _ in range(50):
        architecture = S101.random(rng)
        for other in [architecture, *S101.neighbors(architecture)]:
            code = PathEncoding().encode(S101, [other])[0].tobytes()
            assert codes.setdefault(other.key, code) == code
    assert len(set(codes.values())) < len(codes)  # but not the other way round


def test_bits_of_darts() -> None:
    block = 1 + 8 + 64 + 512 + 4_096
    names = DARTS.operations
    plain = (("none", 0), ("none", 1)) * 4
    chain = (
        *(("sep_conv_3x3", 0), ("none", 1)),
        *(("dil_conv_5x5", 2), ("none", 1)),
        *(("none", 0), ("none", 1)),
        *(("none", 0), ("none", 1)),
    )
    architecture = DARTS.from_genotype(Genotype(plain, (2, 3, 4, 5), chain, (2, 3, 4, 5)))
    first, second = names.index("sep_conv_3x3"), names.index("dil_conv_5x5")
    assert (names.index("none"), first, second) == (0, 4, 7)
    assert bits(PathEncoding(), architecture) == sorted(
        [
            0 * block + 1 + 0,  # normal, from input 0: none
            1 * block + 1 + 0,  # normal, from input 1: none
            2 * block + 1 + 0,
            2 * block + 1 + first,
            2 * block + 9 + first + 8 * second,
            3 * block + 1 + 0,
            3 * block + 9 + 0 + 8 * second,
        ]
    )
    # Truncation keeps the short paths of every block.
    short = 1 + 8 + 64
    assert 3 * short + 1 in bits(TruncatedPathEncoding(), architecture)


def test_paths_of_all_lengths_have_different_bits() -> None:
    """Every operation sequence of a block has a bit of its own."""
    space = CellSpace(4, ("a", "b", "c"))
    seen = set()
    for name in ("edge_0_3", "edge_0_1", "edge_1_3", "edge_1_2", "edge_2_3"):
        assert name in space.distributions
    for x in "abc":
        for y in "abc":
            for z in "abc":
                params = {"edge_0_1": x, "edge_1_2": y, "edge_2_3": z}
                params |= {"edge_0_2": x, "edge_1_3": y, "edge_0_3": z}
                seen |= set(bits(PathEncoding(), space.architecture(params)))
    assert seen == set(range(3 + 9 + 27))


def test_adjacency_and_one_hot_of_nasbench101() -> None:
    architecture = cell_101([(0, 1), (1, 2)], CONV1)
    (flags,) = AdjacencyEncoding().encode(S101, [architecture])
    edges = list(combinations(range(7), 2))
    assert [edges[i] for i in np.flatnonzero(flags[:21])] == [(0, 1), (1, 6)]
    assert flags[21:].tolist() == [0.5, 0, 0, 0, 0]
    (columns,) = OneHotEncoding().encode(S101, [architecture])
    assert [edges[i] for i in np.flatnonzero(columns[:21])] == [(0, 1), (1, 6)]
    assert set(columns[:21]) == {0.0, 1.0}
    assert columns[21:].tolist() == [0, 1, 0] + 4 * [1, 0, 0]


def test_one_hot_of_nasbench201(rng: np.random.Generator) -> None:
    architectures = [S201.random(rng) for _ in range(20)]
    blocks = OneHotEncoding().encode(S201, architectures).reshape(20, 6, 5)
    assert (blocks.sum(axis=2) == 1).all()
    for block, architecture in zip(blocks, architectures, strict=True):
        chosen = [S201.operations[i] for i in block.argmax(axis=1)]
        assert chosen == list(architecture.params.values())
    adjacency = AdjacencyEncoding().encode(S201, architectures)
    assert np.allclose(adjacency, blocks.argmax(axis=2) / 4)


FLAT: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(("a", "b", "c")),
    "flag": CategoricalDistribution((False, True)),
    "two": CategoricalDistribution(("x", "y")),
    "n": IntDistribution(0, 10),
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "only": CategoricalDistribution(("x",)),
}


@pytest.mark.parametrize(
    ("params", "adjacency", "one_hot"),
    [
        (
            {"kind": "c", "flag": False, "two": "x", "n": 10, "lr": 1e-2, "only": "x"},
            [1, 0, 0, 1, 0.5, 0],
            [0, 0, 1, 0, -1, 1, 0, -1],
        ),
        (
            {"kind": "b", "flag": True, "two": "y"},
            [0.5, 1, 1, 0.5, 0.5, 0.5],
            [0, 1, 0, 1, 1, 0, 0, 0],
        ),
        ({"n": 0, "lr": 99.0}, [0.5, 0.5, 0.5, 0, 1, 0.5], [0, 0, 0, 0, 0, -1, 1, 0]),
    ],
)
def test_flat_spaces(params: dict[str, Any], adjacency: list[float], one_hot: list[float]) -> None:
    space = FlatSpace(FLAT)
    architecture = space.read(params)
    assert architecture is not None
    assert AdjacencyEncoding().encode(space, [architecture])[0] == pytest.approx(adjacency)
    assert OneHotEncoding().encode(space, [architecture])[0] == pytest.approx(one_hot)
    assert AdjacencyEncoding().dimension(space) == 6
    assert OneHotEncoding().dimension(space) == 8
    assert FoldedEncoding().encode(space, [architecture])[0] == pytest.approx(one_hot)


# Folded: avg_pool 0, conv1x1 1, conv3x3 2; none cuts a path and a skip is not spelled.
@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (("avg_pool_3x3",) * 6, [1, 4, 13]),
        (("none",) * 6, []),
        (("skip_connect",) * 6, [0]),
        (("nor_conv_3x3",) * 6, [3, 12, 39]),
        (  # 0>1 conv3x3, 0>2 pool, 1>2 none, 0>3 none, 1>3 skip, 2>3 conv1x1
            (
                *("nor_conv_3x3", "avg_pool_3x3", "none"),
                *("none", "skip_connect", "nor_conv_1x1"),
            ),
            [1 + 2, 4 + 0 + 3 * 1],
        ),
    ],
)
def test_folded_bits_of_nasbench201(edges: tuple[str, ...], expected: list[int]) -> None:
    architecture = S201.architecture(dict(zip(S201.distributions, edges, strict=True)))
    assert bits(PathEncoding(fold=True), architecture) == sorted(expected)


@pytest.mark.parametrize(
    ("space", "bits_that_agree"),
    [
        (S201, 40),
        # Skips between inner nodes of a reduction cell are spelled, so only normal cells agree.
        (DARTSSpace(("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")), 2 * 31),
    ],
)
def test_cells_that_compute_the_same_have_the_same_folded_paths(
    space: SearchSpace, bits_that_agree: int, rng: np.random.Generator
) -> None:
    codes: dict[str, np.ndarray] = {}
    repeats = 0
    for _ in range(40):
        architecture = space.random(rng)
        for other in [architecture, *space.neighbors(architecture)]:
            code = PathEncoding(fold=True).encode(space, [other])[0, :bits_that_agree]
            key = other.key.partition("|")[0]
            repeats += key in codes
            assert np.array_equal(codes.setdefault(key, code), code)
    assert repeats > 50


def test_simplified_one_hot_shows_live_parts_only() -> None:
    # Edge 0>1 leads nowhere, 2>3 comes from nowhere.
    edges = ("nor_conv_3x3", "none", "none", "skip_connect", "none", "avg_pool_3x3")
    cell = S201.architecture(dict(zip(S201.distributions, edges, strict=True)))
    (code,) = OneHotEncoding(simplify=True).encode(S201, [cell])
    chosen = [S201.operations[i] for i in code.reshape(6, 5).argmax(axis=1)]
    assert chosen == ["none", "none", "none", "skip_connect", "none", "none"]
    (plain,) = OneHotEncoding().encode(S201, [cell])
    assert FoldedEncoding().encode(S201, [cell])[0].tolist() == [
        *code.tolist(),
        *PathEncoding(fold=True).encode(S201, [cell])[0].tolist(),
    ]
    assert not np.array_equal(code, plain)

    dead = cell_101([(0, 1), (1, 2)], CONV1)
    lively = S101.architecture({**dead.params, "edge_0_3": True, "op_3": POOL, "edge_4_6": True})
    one, two = OneHotEncoding(simplify=True).encode(S101, [dead, lively])
    assert np.array_equal(one, two)
    assert one[21:].tolist() == [0, 1, 0] + 12 * [0]


def test_joined_encodings_stand_side_by_side(rng: np.random.Generator) -> None:
    architectures = [S201.random(rng) for _ in range(4)]
    parts = (OneHotEncoding(), PathEncoding(), AdjacencyEncoding())
    encoded = JoinedEncoding(*parts).encode(S201, architectures)
    expected = np.hstack([part.encode(S201, architectures) for part in parts])
    assert np.array_equal(encoded, expected)


@pytest.mark.parametrize("encoding", [PathEncoding(), TruncatedPathEncoding()])
def test_a_space_without_paths_is_an_error(encoding: Encoding) -> None:
    space = FlatSpace(FLAT)
    for call in (encoding.dimension, lambda s: encoding.encode(s, [])):
        with pytest.raises(ValueError, match="FlatSpace has no paths; use `encoding='one_hot'`"):
            call(space)


@pytest.mark.parametrize("value", [0, -1])
def test_bad_length(value: int) -> None:
    with pytest.raises(ValueError, match=f"`max_length` is {value}; allowed is None or 1 or more"):
        PathEncoding(value)
