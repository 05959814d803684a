from __future__ import annotations

from itertools import product

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from optuna_nas.networks import build_network, count_macs, count_parameters, operations
from optuna_nas.networks.cell_network import Cell
from optuna_nas.networks.liveness import live_edges
from optuna_nas.spaces import Architecture, CellSpace, NASBench201Space

SPACE = NASBench201Space()
NAMES = {
    "c3": "nor_conv_3x3",
    "c1": "nor_conv_1x1",
    "sk": "skip_connect",
    "ap": "avg_pool_3x3",
    "no": "none",
}


def cell(text: str) -> Architecture:
    """A cell from its six operations by target node, such as `c3 no,c3 sk,no,sk`."""
    groups = [[NAMES[name] for name in group.split(",")] for group in text.split()]
    return SPACE.parse(
        "+".join(
            "".join(f"|{name}~{source}" for source, name in enumerate(group)) + "|"
            for group in groups
        )
    )


def edges_of(architecture: Architecture) -> dict[tuple[int, int], str]:
    return {edge: SPACE.operation(architecture, edge) for edge in SPACE.edges}


# Published: parameters, and MFLOPs including one operation for each bias of the classifier.
PUBLISHED = [
    ("no no,no no,no,no", 73_306, 7.78305),
    ("sk sk,sk sk,sk,sk", 73_306, 7.78305),
    ("ap ap,ap ap,ap,ap", 73_306, 7.78305),
    ("c1 c1,c1 c1,c1,c1", 241_306, 31.37601),
    ("c3 c3,c3 c3,c3,c3", 1_531_546, 220.11969),
    ("c3 no,c3 sk,no,sk", 559_386, 78.56193),
    ("c3 c3,ap sk,c3,sk", 802_426, 113.95137),
    ("c3 c3,c3 sk,c3,c1", 1_073_466, 153.27297),
    ("c3 c3,c3 sk,c3,c3", 1_288_506, 184.73025),
]


@pytest.mark.parametrize(("text", "parameters", "mflops"), PUBLISHED)
def test_published_sizes(text: str, parameters: int, mflops: float) -> None:
    with torch.device("meta"):
        network = build_network(cell(text), num_classes=10)
    assert count_parameters(network) == parameters
    assert count_macs(network, (3, 32, 32)) + 10 == round(mflops * 1e6)


@pytest.mark.parametrize(("classes", "more"), [(100, 5_850), (120, 7_150)])
def test_published_sizes_of_other_datasets(classes: int, more: int) -> None:
    for text, parameters, _ in PUBLISHED[3:5]:
        with torch.device("meta"):
            network = build_network(cell(text), num_classes=classes)
        assert count_parameters(network) == parameters + more
    if classes == 120:
        assert count_macs(network, (3, 16, 16)) + classes == 55_037_560


def test_dead_edges_count_as_parameters_but_not_as_computation() -> None:
    # Nothing leaves node 1 (first cell), nothing enters it (second cell).
    for text in ("c3 c1,no c1,no,c1", "no c1,c3 c1,no,c1"):
        with torch.device("meta"):
            network = build_network(cell(text), num_classes=10)
        assert count_parameters(network) == 73_306 + 243_040 + 3 * 28_000
        conv1x1_macs = (31_376_010 - 7_783_050) // 6
        assert count_macs(network, (3, 32, 32)) + 10 == 7_783_050 + 3 * conv1x1_macs


def naive(module: Cell, x: torch.Tensor, num_nodes: int) -> torch.Tensor:
    """Every edge, one after the other, `none` and dead ones included."""
    nodes = [x]
    for target in range(1, num_nodes):
        value = torch.zeros_like(x)
        for source in range(target):
            value = value + module.edges[f"{source}_{target}"](nodes[source])
        nodes.append(value)
    return nodes[-1]


@pytest.mark.parametrize("training", [True, False])
def test_skipping_edges_changes_nothing(training: bool) -> None:
    rng = np.random.default_rng(0)
    x = torch.randn(3, 4, 5, 5)
    for space in (SPACE, CellSpace(5, ["none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"])):
        for _ in range(60):
            architecture = space.random(rng)
            operations_ = {edge: space.operation(architecture, edge) for edge in space.edges}
            module = Cell(operations_, 4).train(training)
            expected = naive(module, x, space.num_nodes)
            torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-6)


def test_operations_on_nothing_add_nothing() -> None:
    # Both cells have the same key, so they must compute the same whatever their weights are.
    dead, plain = cell("no no,c3 c1,c3,no"), cell("no no,no c1,no,no")
    assert dead.key == plain.key
    x = torch.randn(2, 4, 6, 6)
    module, other = Cell(edges_of(dead), 4), Cell(edges_of(plain), 4)
    other.edges["0_3"].load_state_dict(module.edges["0_3"].state_dict())
    for norm in module.edges["1_2"].modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.ones_(norm.bias)
    assert torch.equal(module(x), other(x))


@pytest.mark.parametrize("text", ["no no,no no,no,no", "no c3,c3 no,c3,no", "c3 no,no no,no,c3"])
def test_a_dead_cell_gives_zeros(text: str) -> None:
    module = Cell(edges_of(cell(text)), 4)
    assert torch.equal(module(torch.randn(2, 4, 6, 5)), torch.zeros(2, 4, 6, 5))
    network = build_network(cell(text), num_classes=3, channels=4, cells=1)
    logits = network(torch.randn(4, 3, 8, 8))
    assert logits.shape == (4, 3)
    torch.testing.assert_close(logits, logits[:1].expand(4, 3))  # the images cannot matter
    logits.sum().backward()


def test_gradients_reach_exactly_the_live_edges() -> None:
    rng = np.random.default_rng(1)
    x = torch.randn(4, 3, 8, 8)
    for _ in range(15):
        architecture = SPACE.random(rng)
        network = build_network(architecture, num_classes=5, channels=4, cells=1)
        network(x).square().sum().backward()
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(4))
        graph.add_edges_from(e for e, name in edges_of(architecture).items() if name != "none")
        cells = [module for module in network.modules() if isinstance(module, Cell)]
        assert len(cells) == 3
        for module, (source, target) in product(cells, SPACE.edges):
            live = (
                graph.has_edge(source, target)
                and nx.has_path(graph, 0, source)
                and nx.has_path(graph, target, 3)
            )
            for parameter in module.edges[f"{source}_{target}"].parameters():
                gradient = parameter.grad
                assert (gradient is not None and bool(gradient.any())) == live
        outside = [p for n, p in network.named_parameters() if ".edges." not in n]
        if nx.has_path(graph, 0, 3):
            assert all(p.grad is not None and bool(p.grad.any()) for p in outside)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 7, 9), (2, 1, 1)])
def test_forward_and_backward(shape: tuple[int, int, int]) -> None:
    network = build_network(
        cell("c3 sk,ap c1,c3,sk"), num_classes=7, in_channels=shape[0], channels=3, cells=2
    )
    logits = network(torch.randn(2, *shape))
    assert logits.shape == (2, 7)
    logits.sum().backward()


def test_stages_halve_and_double() -> None:
    network = build_network(cell("sk sk,sk sk,sk,sk"), num_classes=4, channels=4, cells=2)
    shapes = []
    for module in network.modules():
        if isinstance(module, Cell):
            module.register_forward_hook(lambda m, args, out: shapes.append(tuple(out.shape)))
    network(torch.randn(2, 3, 8, 8))
    assert shapes == [(2, 4, 8, 8)] * 2 + [(2, 8, 4, 4)] * 2 + [(2, 16, 2, 2)] * 2


def test_any_number_of_nodes_and_ones_own_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_FACTORIES", dict(operations._FACTORIES))

    @operations.register_operation("double")
    class Double(nn.Module):
        def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
            super().__init__()
            assert (channels_in, stride) == (channels_out, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    x = torch.randn(1, 2, 4, 4)
    for num_nodes in (2, 3, 6):
        space = CellSpace(num_nodes, ["none", "double"])
        chain = dict.fromkeys(space.distributions, "none")
        chain |= {f"edge_{i}_{i + 1}": "double" for i in range(num_nodes - 1)}
        architecture = space.architecture(chain)
        module = Cell({e: space.operation(architecture, e) for e in space.edges}, 2)
        torch.testing.assert_close(module(x), x * 2 ** (num_nodes - 1))
        network = build_network(architecture, num_classes=2, channels=2, cells=1)
        assert network(torch.randn(2, 3, 8, 8)).shape == (2, 2)


def test_an_unknown_operation_is_named() -> None:
    space = CellSpace(3, ["none", "nor_conv_9x9"])
    architecture = space.architecture(dict.fromkeys(space.distributions, "nor_conv_9x9"))
    with pytest.raises(ValueError, match=r"nor_conv_9x9.*register_operation"):
        build_network(architecture, num_classes=2)


def test_live_edges() -> None:
    # 0 -> 2 -> 4 is the only way; 1 has no input, 3 no output.
    edges = [(1, 4), (2, 4), (0, 2), (0, 3), (2, 3), (0, 2)]
    assert [edges[i] for i in live_edges(edges, {0}, {4})] == [(0, 2), (0, 2), (2, 4)]
    assert live_edges([], {0}, {1}) == []
