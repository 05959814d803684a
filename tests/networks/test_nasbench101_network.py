from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from optuna_nas.networks import build_network, compute_vertex_channels, count_parameters
from optuna_nas.networks.nasbench101 import VertexCell
from optuna_nas.spaces import Architecture, NASBench101Space

SPACE = NASBench101Space()
NAMES = {"c3": "conv3x3-bn-relu", "c1": "conv1x1-bn-relu", "mp": "maxpool3x3"}
SMALL_SIZES = [(3, 32, 32), (1, 8, 8), (3, 7, 9), (2, 1, 1)]


def adjacency(vertices: int, *edges: tuple[int, int]) -> np.ndarray:
    matrix = np.zeros((vertices, vertices), dtype=int)
    for edge in edges:
        matrix[edge] = 1
    return matrix


def chain(length: int) -> list[tuple[int, int]]:
    return [(vertex, vertex + 1) for vertex in range(length + 1)]


def architecture(edges: list[tuple[int, int]], operations: str) -> Architecture:
    names = ["input", *(NAMES[name] for name in operations.split()), "output"]
    return SPACE.from_matrix(adjacency(len(names), *edges), names)


INCEPTION = architecture(
    [(0, 1), (0, 2), (0, 3), (0, 5), (1, 6), (2, 6), (3, 4), (4, 6), (5, 6)], "c1 c3 c3 c3 mp"
)


@pytest.mark.parametrize(
    ("edges", "operations", "parameters"),
    [
        ([(0, 1)], "", 882_570),
        (chain(1), "c3", 10_177_674),
        (chain(1), "c1", 1_920_138),
        (chain(1), "mp", 882_570),
        (chain(2), "c3 c3", 19_472_778),
        (chain(2), "c1 c1", 2_957_706),
        (chain(5), "c3 c3 c3 c3 c3", 47_358_090),
        (chain(5), "c1 c1 c1 c1 c1", 6_070_410),
        ([*chain(2), (0, 3)], "c3 c3", 20_346_506),
    ],
)
def test_published_parameters(
    edges: list[tuple[int, int]], operations: str, parameters: int
) -> None:
    with torch.device("meta"):
        network = build_network(architecture(edges, operations), num_classes=10)
    assert count_parameters(network) == parameters


def test_published_parameters_of_the_inception_like_cell() -> None:
    with torch.device("meta"):
        assert count_parameters(build_network(INCEPTION, num_classes=10)) == 2_694_282


@pytest.mark.parametrize(
    ("bits", "digits", "parameters"),
    [
        (1_205_349, "02001", 8_555_530),
        (1_335_845, "11010", 5_878_154),
        (1_330_725, "02121", 3_729_162),
    ],
)
def test_parameters_of_cells_of_the_benchmark(bits: int, digits: str, parameters: int) -> None:
    # Bit x + y (y - 1) / 2 is the edge x -> y; the digits are c3, c1, mp.
    edges = [(x, y) for y in range(7) for x in range(y) if bits >> (x + y * (y - 1) // 2) & 1]
    names = " ".join(list(NAMES)[int(digit)] for digit in digits)
    with torch.device("meta"):
        network = build_network(architecture(edges, names), num_classes=10)
    assert count_parameters(network) == parameters


@pytest.mark.parametrize(
    ("edges", "channels_in", "channels_out", "expected"),
    [
        ([(0, 1)], 8, 16, (8, 16)),
        (chain(2), 8, 16, (8, 16, 16, 16)),
        ([(0, 1), (0, 2), (1, 3), (2, 3)], 8, 15, (8, 8, 7, 15)),
        ([(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], 8, 8, (8, 3, 3, 2, 8)),
        # 1 feeds 2 and 3, so it is as wide as the wider of the two.
        ([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], 4, 9, (4, 5, 5, 4, 9)),
    ],
)
def test_vertex_channels(
    edges: list[tuple[int, int]], channels_in: int, channels_out: int, expected: tuple[int, ...]
) -> None:
    matrix = adjacency(len(expected), *edges)
    assert compute_vertex_channels(channels_in, channels_out, matrix) == expected


def test_too_few_channels_to_share() -> None:
    with pytest.raises(ValueError, match=r"`channels_out` is 3; allowed is 4 or more"):
        build_network(INCEPTION, num_classes=10, channels=3)
    assert build_network(INCEPTION, num_classes=10, channels=4)


def reference(module: VertexCell, matrix: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    """The cell written edge by edge, by columns of the matrix."""
    last = len(matrix) - 1
    channels = [x.shape[1], *(_width(op, x) for op in module.operations)]
    values: dict[int, torch.Tensor] = {}
    for vertex in range(1, last):
        width = channels[vertex]
        total = torch.zeros(len(x), width, *x.shape[2:])
        for source in range(1, vertex):
            if matrix[source, vertex]:
                total = total + values[source][:, :width]
        if matrix[0, vertex]:
            total = total + module.projections[str(vertex)](x)
        values[vertex] = module.operations[vertex - 1](total)
    joined = [values[vertex] for vertex in range(1, last) if matrix[vertex, last]]
    out = torch.cat(joined, dim=1) if joined else torch.zeros(())
    return out + module.projections[str(last)](x) if matrix[0, last] else out


def _width(module: nn.Module, x: torch.Tensor) -> int:
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    return convolutions[0].out_channels if convolutions else -1


def test_cells_compute_what_the_matrix_says() -> None:
    rng = np.random.default_rng(0)
    tried = 0
    while tried < 30:
        cell = SPACE.cell(SPACE.random(rng))
        if "maxpool3x3" in cell.operations:  # their width cannot be read off the module
            continue
        tried += 1
        module = VertexCell(cell, 6, 11).eval()
        x = torch.randn(2, 6, 4, 4)
        out = module(x)
        assert out.shape == (2, 11, 4, 4)
        torch.testing.assert_close(out, reference(module, cell.matrix, x))


def test_max_pool_vertices_work_on_truncated_sums() -> None:
    # 1 is as wide as 2 and 3 together need: 3 gets its first 3 channels and pools them.
    cell = SPACE.cell(architecture([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], "c1 c1 mp"))
    module = VertexCell(cell, 4, 7).eval()
    x = torch.randn(2, 4, 5, 5)
    first = module.operations[0](module.projections["1"](x))
    pooled = nn.functional.max_pool2d(first[:, :3], 3, stride=1, padding=1)
    assert torch.equal(module(x)[:, 4:], pooled)


@pytest.mark.parametrize("shape", SMALL_SIZES)
def test_forward_and_backward(shape: tuple[int, int, int]) -> None:
    network = build_network(INCEPTION, num_classes=7, in_channels=shape[0], channels=6, cells=1)
    logits = network(torch.randn(2, *shape))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_gradients_reach_every_parameter() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        network = build_network(SPACE.random(rng), num_classes=5, channels=8, cells=1)
        network(torch.randn(8, 3, 8, 8)).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.any()), name


def test_stacks_halve_and_double() -> None:
    network = build_network(architecture(chain(1), "c3"), num_classes=4, channels=4, cells=2)
    shapes = []
    for module in network.modules():
        if isinstance(module, VertexCell):
            module.register_forward_hook(lambda m, args, out: shapes.append(tuple(out.shape)))
    network(torch.randn(2, 3, 8, 8))
    assert shapes == [(2, 4, 8, 8)] * 2 + [(2, 8, 4, 4)] * 2 + [(2, 16, 2, 2)] * 2
