from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from optuna_nas.networks import DARTSNetwork, build_network, count_macs, count_parameters
from optuna_nas.networks.pair_cell import PairCell
from optuna_nas.spaces import DARTS_OPERATIONS, DARTSSpace, Genotype

SPACE = DARTSSpace()
NAMES = {
    "s3": "sep_conv_3x3",
    "s5": "sep_conv_5x5",
    "s7": "sep_conv_7x7",
    "d3": "dil_conv_3x3",
    "mp": "max_pool_3x3",
    "ap": "avg_pool_3x3",
    "sk": "skip_connect",
    "c7": "conv_7x1_1x7",
    "no": "none",
}
NODES = (2, 3, 4, 5)


def genes(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((NAMES[gene[:2]], int(gene[2:])) for gene in text.split())


def genotype(normal: str, reduce: str) -> Genotype:
    return Genotype(genes(normal), NODES, genes(reduce), NODES)


V1 = genotype("s31 s30 sk0 s31 sk0 s31 s30 sk2", "mp0 mp1 sk2 mp0 mp0 sk2 sk2 ap0")
V2 = genotype("s30 s31 s30 s31 s31 sk0 sk0 d32", "mp0 mp1 sk2 mp1 mp0 sk2 sk2 mp1")
PC = genotype("s31 sk0 s30 d31 s50 s31 ap0 d31", "s51 mp0 s51 s52 s30 s33 s31 s32")
NASNET = Genotype(
    genes("s51 s30 s50 s30 ap1 sk0 ap0 ap0 s31 sk1"),
    (2, 3, 4, 5, 6),
    genes("s51 s70 mp1 s70 ap1 s50 sk3 ap2 s32 mp1"),
    (4, 5, 6),
)
AMOEBANET = Genotype(
    genes("ap0 mp1 s30 s52 s30 ap3 s31 sk1 sk0 ap1"),
    (4, 5, 6),
    genes("ap0 s31 mp0 s72 s70 ap1 mp0 mp1 c70 s35"),
    (3, 4, 6),
)


def uniform(operation: str) -> Genotype:
    """Every node takes the two inputs through the same operation, in both cells."""
    cell = ((operation, 0), (operation, 1)) * 4
    return Genotype(cell, NODES, cell, NODES)


def small(cell: Genotype, **options: int | bool | torch.Generator) -> DARTSNetwork:
    settings = {"num_classes": 5, "channels": 2, "cells": 3, **options}
    network = build_network(SPACE.from_genotype(cell), **settings)  # type: ignore[arg-type]
    assert isinstance(network, DARTSNetwork)
    return network


@pytest.mark.parametrize(
    ("cell", "parameters", "with_auxiliary", "macs"),
    [
        (V1, 3_169_414, 3_645_840, 500_987_520),
        (V2, 3_349_342, 3_825_768, 528_359_040),
        (PC, 3_634_678, 3_634_678 + 476_426, None),
    ],
    ids=["DARTS_V1", "DARTS_V2", "PC_DARTS_cifar"],
)
def test_published_sizes(
    cell: Genotype, parameters: int, with_auxiliary: int, macs: int | None
) -> None:
    architecture = SPACE.from_genotype(cell)
    with torch.device("meta"):
        network = build_network(architecture, num_classes=10)
        headed = build_network(architecture, num_classes=10, auxiliary=True)
    assert count_parameters(network) == count_parameters(headed) == parameters
    assert count_parameters(network, auxiliary=True) == parameters
    assert count_parameters(headed, auxiliary=True) == with_auxiliary
    if macs is not None:
        assert count_macs(headed, (3, 32, 32)) == macs


@pytest.mark.parametrize(
    ("cell", "parameters", "with_auxiliary", "macs", "small_parameters"),
    [
        (NASNET, 3_830_950, 4_288_944, 603_452_448, 333_946),
        (AMOEBANET, 3_145_078, 3_603_072, 488_931_552, 326_330),
    ],
    ids=["NASNet", "AmoebaNet"],
)
def test_published_sizes_of_five_node_cells(
    cell: Genotype, parameters: int, with_auxiliary: int, macs: int, small_parameters: int
) -> None:
    with torch.device("meta"):
        network = DARTSNetwork(cell, num_classes=10, auxiliary=True)
        smaller = DARTSNetwork(cell, num_classes=10, channels=16, cells=8)
    assert count_parameters(network) == parameters
    assert count_parameters(network, auxiliary=True) == with_auxiliary
    assert count_macs(network, (3, 32, 32)) == macs
    assert count_parameters(smaller) == small_parameters


@pytest.mark.parametrize(
    ("cell", "classes", "channels", "cells", "parameters"),
    [
        (V1, 10, 16, 8, 232_890),
        (V2, 10, 16, 8, 246_106),
        (V1, 100, 36, 20, 3_221_344),
        (V2, 100, 36, 20, 3_401_272),
    ],
)
def test_published_parameters_of_other_sizes(
    cell: Genotype, classes: int, channels: int, cells: int, parameters: int
) -> None:
    with torch.device("meta"):
        network = small(cell, num_classes=classes, channels=channels, cells=cells)
    assert count_parameters(network) == parameters


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("sep_conv_3x3", (4_701_718, 411_002, 12_502)),
        ("sep_conv_5x5", (5_144_086, 492_922, 19_670)),
        ("dil_conv_3x3", (3_035_926, 255_866, 7_350)),
        ("dil_conv_5x5", (3_257_110, 296_826, 10_934)),
        ("skip_connect", (1_580_950, 143_226, 5_142)),
        ("max_pool_3x3", (1_370_134, 100_730, 2_198)),
        ("avg_pool_3x3", (1_370_134, 100_730, 2_198)),
        ("none", (1_370_134, 100_730, 2_198)),
    ],
)
def test_parameters_of_uniform_cells(operation: str, parameters: tuple[int, int, int]) -> None:
    for (channels, cells), expected in zip(((36, 20), (16, 8), (4, 3)), parameters, strict=True):
        with torch.device("meta"):
            network = small(uniform(operation), num_classes=10, channels=channels, cells=cells)
        assert count_parameters(network) == expected


def naive(
    cell: PairCell, text: tuple[tuple[str, int], ...], *inputs: torch.Tensor
) -> torch.Tensor:
    """Every operation, one after the other, `none` and dead ones included."""
    nodes = [module(x) for module, x in zip(cell.preprocess, inputs, strict=True)]
    for node in range(len(text) // 2):
        first, second = (
            cell.operations[2 * node + slot](nodes[text[2 * node + slot][1]]) for slot in (0, 1)
        )
        nodes.append(first + second)
    return torch.cat([nodes[node] for node in cell.concat], dim=1)


@pytest.mark.parametrize(
    ("reduction", "after_reduction", "training"), list(product((False, True), repeat=3))
)
def test_skipping_edges_changes_nothing(
    reduction: bool, after_reduction: bool, training: bool
) -> None:
    rng = np.random.default_rng(0)
    space = DARTSSpace(("none", "skip_connect", "max_pool_3x3", "dil_conv_3x3"))
    scale = 2 if after_reduction else 1
    inputs = torch.randn(3, 6, 6 * scale, 6 * scale), torch.randn(3, 5, 6, 6)
    for concat in (NODES, (2, 4)):
        for _ in range(15):
            text = space.genotype(space.random(rng)).normal
            cell = PairCell(
                text,
                concat,
                channels_in=(6, 5),
                channels=4,
                reduction=reduction,
                after_reduction=after_reduction,
            ).train(training)
            out = cell(*inputs)
            assert out.shape == (3, 4 * len(concat), *((3, 3) if reduction else (6, 6)))
            torch.testing.assert_close(out, naive(cell, text, *inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 7, 9), (2, 1, 1)])
def test_forward_and_backward(shape: tuple[int, int, int]) -> None:
    for cell in (V1, V2, uniform("none")):
        network = small(cell, in_channels=shape[0])
        logits = network(torch.randn(2, *shape))
        assert isinstance(logits, torch.Tensor)
        assert logits.shape == (2, 5)
        torch.autograd.backward(logits.sum())


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 6])
def test_reduction_cells_are_at_the_thirds(cells: int) -> None:
    network = small(V2, cells=cells)
    strides = [cell.stride for cell in network.cells if isinstance(cell, PairCell)]
    thirds = {cells // 3, 2 * cells // 3}
    assert strides == [2 if position in thirds else 1 for position in range(cells)]
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    assert small(V2, cells=cells, channels=1)(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_gradients_reach_every_parameter() -> None:
    for cell in (V1, V2, PC):
        network = small(cell, auxiliary=True, cells=4)
        logits, auxiliary_logits = network(torch.randn(4, 3, 32, 32))
        torch.autograd.backward([logits.square().sum(), auxiliary_logits.square().sum()])
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.any()), name


def test_auxiliary_logits_only_in_training() -> None:
    network = small(V1, auxiliary=True, cells=6)
    images = torch.randn(2, 3, 32, 32)
    logits, auxiliary_logits = network(images)
    assert logits.shape == auxiliary_logits.shape == (2, 5)
    assert isinstance(network.eval()(images), torch.Tensor)


def test_auxiliary_head_reads_the_second_reduction_cell() -> None:
    network = small(V1, auxiliary=True, cells=6)
    _, auxiliary_logits = network(torch.randn(2, 3, 32, 32))
    auxiliary_logits.sum().backward()
    reached = [any(p.grad is not None for p in cell.parameters()) for cell in network.cells]
    assert reached == [True] * 5 + [False]


def test_smallest_and_larger_images_of_the_auxiliary_head() -> None:
    network = small(V1, auxiliary=True)
    for size in (29, 32, 64):
        assert network(torch.randn(2, 3, size, size))[1].shape == (2, 5)
    for shape in ((28, 28), (8, 8), (32, 28)):
        with pytest.raises(ValueError, match=r"`images` are too small for the auxiliary head"):
            network(torch.randn(2, 3, *shape))
        assert network.eval()(torch.randn(2, 3, *shape)).shape == (2, 5)
        network.train()


def one_cell(probability: float) -> DARTSNetwork:
    """A network whose logits are linear in what drop-path multiplies with."""
    generator = torch.Generator().manual_seed(3)
    network = small(uniform("dil_conv_3x3"), cells=1, generator=generator)
    network.drop_path_probability = probability
    return network


def test_drop_path_is_unbiased_and_decided_for_each_image() -> None:
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(2, 3, 8, 8, generator=generator).repeat_interleave(6000, dim=0)
    with torch.no_grad():
        whole = one_cell(0.0)(images)
        dropped = one_cell(0.3)(images)
    for first in (0, 6000):
        logits = dropped[first : first + 6000]
        error = logits.mean(dim=0) - whole[first]
        deviation = logits.std(dim=0)
        assert bool((deviation > 1e-3).all())
        assert bool((error.abs() < 5 * deviation / 6000**0.5).all())
        # Eight operations, each kept or not: 256 different outcomes.
        assert 200 < len(torch.unique(logits.round(decimals=5), dim=0)) <= 256


def test_drop_path_frequency() -> None:
    network = one_cell(0.3)
    scales = network._path_scales(torch.zeros(4000, 3, 8, 8))
    assert scales is not None
    assert scales[0].shape == (8, 4000, 1, 1, 1)
    assert torch.unique(scales[0]).tolist() == pytest.approx([0.0, 1 / 0.7])
    kept = float((scales[0] > 0).double().mean())
    assert abs(kept - 0.7) < 5 * (0.7 * 0.3 / 32_000) ** 0.5


def test_drop_path_is_off_in_evaluation() -> None:
    network = small(V2).eval()
    images = torch.randn(4, 3, 8, 8)
    expected = network(images)
    network.drop_path_probability = 0.9
    assert torch.equal(network(images), expected)


def test_drop_path_keeps_identities() -> None:
    cell = PairCell(
        genes("sk0 s31 sk1 mp0 s30 s31 s30 s31"),
        NODES,
        channels_in=(4, 4),
        channels=4,
        reduction=False,
        after_reduction=False,
    ).eval()
    inputs = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    out = cell(*inputs, torch.zeros(8, 2, 1, 1, 1))
    first, second = (module(x) for module, x in zip(cell.preprocess, inputs, strict=True))
    expected = torch.cat([first, second, torch.zeros(2, 8, 6, 6)], dim=1)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    ("text", "concat", "match"),
    [
        ("s30 s31 s30", (2,), "`genes` is"),
        ("s30 s32", (2,), "`genes` is"),
        ("s30 s31", (2, 3), "`concat` is"),
        ("s30 s31", (), "`concat` is"),
    ],
)
def test_cells_that_are_no_graphs(text: str, concat: tuple[int, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        DARTSNetwork(Genotype(genes(text), concat, genes(text), concat), num_classes=2)


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_drop_path_probability_is_checked(value: float) -> None:
    network = small(V1)
    with pytest.raises(ValueError, match="`drop_path_probability` is"):
        network.drop_path_probability = value


def test_a_generator_decides_which_paths_are_dropped() -> None:
    images = torch.randn(8, 3, 8, 8)
    state = torch.get_rng_state()
    first, second = (one_cell(0.5)(images) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_every_operation_of_the_space_has_a_network() -> None:
    for name in DARTS_OPERATIONS:
        assert small(uniform(name)).eval()(torch.randn(1, 3, 8, 8)).shape == (1, 5)
