"""From weights to architectures, on weights made by hand."""

from __future__ import annotations

import pytest
import torch

from optuna_nas.spaces import DARTS_OPERATIONS, DARTSSpace, EdgeNESSpace, NASBench201Space
from optuna_nas.supernets import (
    build_supernet,
    cell_edges,
    strongest_inputs,
    strongest_operations,
    strongest_pairs,
)

EDGES = cell_edges(2, 6)
COLUMN = {name: column for column, name in enumerate(DARTS_OPERATIONS)}


def weights(**strongest: tuple[str, float]) -> torch.Tensor:
    """Weights of 0.01, but for one operation on some edges, named `e<source>_<target>`."""
    found = torch.full((14, 8), 0.01)
    for name, (operation, strength) in strongest.items():
        source, target = map(int, name[1:].split("_"))
        found[EDGES.index((source, target)), COLUMN[operation]] = strength
    return found


def test_edges() -> None:
    assert EDGES[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert len(EDGES) == 14 and EDGES[-1] == (4, 5)
    assert cell_edges(1, 4) == NASBench201Space().edges


def test_two_strongest_edges_with_their_strongest_operations() -> None:
    found = weights(
        e0_2=("sep_conv_3x3", 0.3),
        e1_2=("max_pool_3x3", 0.5),
        e0_3=("skip_connect", 0.2),
        e2_3=("dil_conv_5x5", 0.4),
        e3_4=("avg_pool_3x3", 0.9),
        e1_4=("sep_conv_5x5", 0.8),
        e2_4=("skip_connect", 0.7),
        e4_5=("dil_conv_3x3", 0.6),
        e0_5=("skip_connect", 0.5),
    )
    assert strongest_pairs(found, EDGES, DARTS_OPERATIONS) == (
        ("max_pool_3x3", 1),
        ("sep_conv_3x3", 0),
        ("dil_conv_5x5", 2),
        ("skip_connect", 0),
        ("avg_pool_3x3", 3),
        ("sep_conv_5x5", 1),
        ("dil_conv_3x3", 4),
        ("skip_connect", 0),
    )


def test_none_is_never_chosen_and_does_not_make_an_edge_strong() -> None:
    found = weights(e0_3=("none", 0.9), e1_3=("sep_conv_3x3", 0.2), e2_3=("skip_connect", 0.3))
    pairs = strongest_pairs(found, EDGES, DARTS_OPERATIONS)
    assert pairs[2:4] == (("skip_connect", 2), ("sep_conv_3x3", 1))
    assert all(name != "none" for name, _ in pairs)


def test_equal_weights() -> None:
    pairs = strongest_pairs(torch.full((14, 8), 0.125), EDGES, DARTS_OPERATIONS)
    assert pairs == (("max_pool_3x3", 0), ("max_pool_3x3", 1)) * 4


@pytest.mark.parametrize("seed", range(5))
def test_derived_architectures_are_of_the_space(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    space = DARTSSpace()
    supernet = build_supernet(space, num_classes=2, channels=2, cells=3)
    drawn = {k: torch.rand(14, 8, generator=generator) for k in ("normal", "reduce")}
    architecture = supernet.derive(drawn)
    genotype = space.genotype(architecture)
    assert sorted(genotype.normal[2:4]) == sorted(
        strongest_pairs(drawn["normal"], EDGES, DARTS_OPERATIONS)[2:4]
    )
    assert genotype.reduce != genotype.normal
    # The edges into one node do not matter for another.
    drawn["normal"][-4:] = torch.rand(4, 8, generator=generator)
    assert space.genotype(supernet.derive(drawn)).normal[:6] == genotype.normal[:6]


def test_nas_bench_201_keeps_the_strongest_of_all() -> None:
    space = NASBench201Space()
    rows = torch.eye(5)[[3, 0, 1, 4, 2, 0]]
    assert strongest_operations(rows, space.operations)[1] == "none"
    supernet = build_supernet(space, num_classes=2, channels=2, cells=1)
    assert str(supernet.derive({"cell": rows})) == (
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
    )


def test_a_supernet_without_normal_cells_derives_nothing() -> None:
    supernet = build_supernet(DARTSSpace(), num_classes=2, channels=2, cells=1)
    with pytest.raises(ValueError, match=r"`cells` is 1, .* allowed is 3 or more"):
        supernet.derive({"reduce": torch.rand(14, 8)})


def test_the_strongest_input_with_the_strongest_operation_on_it() -> None:
    """A strong operation on an edge of little weight does not count; ties go to the first."""
    found = torch.zeros(14, 7)
    for (source, target), row in zip(EDGES, found, strict=True):
        row[:] = 0.1 if source == 1 else 0.05  # sums: 0.7, and 0.35
        if (source, target) == (0, 2):
            row[4] = 0.39  # the largest weight of the node, but the sum is 0.69
    found[EDGES.index((3, 5)), 6] = 0.6
    found[EDGES.index((1, 3)), 2] += 0.01
    space = EdgeNESSpace()
    genes = strongest_inputs(found, EDGES, space.operations)
    assert genes == (
        ("max_pool_3x3", 1),
        ("skip_connect", 1),
        ("max_pool_3x3", 1),
        ("dil_conv_5x5", 3),
    )
    supernet = build_supernet(space, num_classes=3, channels=2)
    assert supernet.derive({"cell": found}) == space.from_genes(genes)
