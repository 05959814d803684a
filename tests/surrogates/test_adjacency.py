"""The adjacency encodings, column by column."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from optuna_nas.spaces import (
    NAS_BENCH_101_OPERATIONS,
    DARTSSpace,
    FlatSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.surrogates import (
    AdjacencyEncoding,
    CategoricalAdjacencyEncoding,
    ContinuousAdjacencyEncoding,
    Encoding,
    FoldedCountsEncoding,
    FoldedEncoding,
    OneHotEncoding,
    OperationCountEncoding,
)

S101, S201, DARTS = NASBench101Space(), NASBench201Space(), DARTSSpace()
CONV3, CONV1, POOL = NAS_BENCH_101_OPERATIONS
FLAT = FlatSpace(
    {
        "kind": CategoricalDistribution(("a", "b", "c")),
        "x": FloatDistribution(0, 4),
        "flag": CategoricalDistribution((False, True)),
    }
)
NUMBERS = FlatSpace({"x": FloatDistribution(0, 4)})


@pytest.mark.parametrize(
    ("encoding", "sizes"),
    [
        (OneHotEncoding(), (36, 30, 166, 5)),
        (AdjacencyEncoding(), (26, 6, 22, 3)),
        (CategoricalAdjacencyEncoding(), (9 + 5, 6, 22, 3)),
        (ContinuousAdjacencyEncoding(), (27, 7, 23, 4)),
        (FoldedCountsEncoding(), (403, 74, 8_878 + 14, 5)),
    ],
)
def test_sizes(encoding: Encoding, sizes: tuple[int, ...], rng: np.random.Generator) -> None:
    for space, size in zip((S101, S201, DARTS, FLAT), sizes, strict=True):
        encoded = encoding.encode(space, [space.random(rng) for _ in range(3)])
        assert encoded.shape == (3, size)
        assert encoded.dtype == np.float32
        assert encoding.dimension(space) == size
        assert encoding.encode(space, []).shape == (0, size)


def test_columns_of_nasbench101() -> None:
    matrix = np.zeros((4, 4), dtype=int)
    matrix[0, 1] = matrix[1, 2] = matrix[2, 3] = 1
    cell = S101.from_matrix(matrix, ("input", CONV1, POOL, "output"))
    # A dead edge is neither listed, nor counted by what prunes.
    cell = S101.architecture({**cell.params, "edge_3_4": True})
    (listed,) = CategoricalAdjacencyEncoding().encode(S101, [cell])
    # The pairs in order are 0-1 ... 0-6, 1-2 ...: numbers 1, 7 and, for 2-6, 15.
    assert listed[:9] == pytest.approx([1 / 21, 7 / 21, 15 / 21, 0, 0, 0, 0, 0, 0])
    assert listed[9:].tolist() == [0.5, 1, 0, 0, 0]
    (counted,) = ContinuousAdjacencyEncoding().encode(S101, [cell])
    assert counted[:26].tolist() == AdjacencyEncoding().encode(S101, [cell])[0].tolist()
    assert counted[26] == pytest.approx(4 / 21)


def test_columns_of_nasbench201() -> None:
    edges = ("nor_conv_3x3", "none", "none", "skip_connect", "avg_pool_3x3", "none")
    cell = S201.architecture(dict(zip(S201.distributions, edges, strict=True)))
    plain = AdjacencyEncoding().encode(S201, [cell])[0].tolist()
    assert plain == [0.75, 0, 0, 0.25, 1, 0]
    assert CategoricalAdjacencyEncoding().encode(S201, [cell])[0].tolist() == plain
    assert ContinuousAdjacencyEncoding().encode(S201, [cell])[0].tolist() == [*plain, 0.5]


def test_columns_of_parameters() -> None:
    architecture = FLAT.architecture({"kind": "b", "x": 1.0, "flag": True})
    assert CategoricalAdjacencyEncoding().encode(FLAT, [architecture])[0].tolist() == [
        1,
        0.5,
        0.25,
    ]
    (row,) = ContinuousAdjacencyEncoding().encode(FLAT, [architecture])
    assert row.tolist() == [0.5, 0.25, 1, 1]
    number = NUMBERS.architecture({"x": 3.0})
    for encoding in (CategoricalAdjacencyEncoding(), ContinuousAdjacencyEncoding()):
        assert encoding.encode(NUMBERS, [number]).tolist() == [[0.75]]


def test_counts_are_of_live_operations() -> None:
    # avg_pool, conv1x1, conv3x3, skip; edge 0>1 leads nowhere.
    edges = ("nor_conv_3x3", "nor_conv_1x1", "none", "skip_connect", "none", "nor_conv_1x1")
    cell = S201.architecture(dict(zip(S201.distributions, edges, strict=True)))
    assert OperationCountEncoding().encode(S201, [cell]).tolist() == [[0, 2, 0, 1]]

    params = dict.fromkeys(DARTS.distributions, "sep_conv_3x3")
    params |= {name: "0,1" for name in DARTS.distributions if name.endswith("inputs")}
    params["reduce/node_2/op_0"] = "none"
    (row,) = OperationCountEncoding().encode(DARTS, [DARTS.architecture(params)])
    place = DARTS.operations.index("sep_conv_3x3") - 1
    assert np.flatnonzero(row).tolist() == [place, 7 + place]
    assert row[[place, 7 + place]].tolist() == [8, 7]


@pytest.mark.parametrize("space", [S101, S201, DARTS, FLAT])
def test_counts_stand_beside_the_folded_columns(
    space: SearchSpace, rng: np.random.Generator
) -> None:
    cells = [space.random(rng) for _ in range(4)]
    encoded = FoldedCountsEncoding().encode(space, cells)
    folded = FoldedEncoding().encode(space, cells)
    assert np.array_equal(encoded[:, : folded.shape[1]], folded)
    parts = FoldedCountsEncoding().parts(space)
    assert sum(part.stop - part.start for part in parts.values()) == encoded.shape[1]
    if space is not FLAT:
        last = encoded[:, parts["OperationCountEncoding"]]
        assert np.array_equal(last, OperationCountEncoding().encode(space, cells))


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="FlatSpace has no operations to count"):
        OperationCountEncoding().dimension(FLAT)
