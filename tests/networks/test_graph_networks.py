"""Networks from graphs: NASNet's, hierarchical ones, those of Genetic CNN, and any other."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from optuna_nas.networks import GraphCell, build_network, count_macs, count_parameters
from optuna_nas.spaces import (
    AMOEBANET_A,
    NASNET_A,
    GeneticCNNSpace,
    HierarchicalSpace,
    NASNetSpace,
)

NASNET = NASNetSpace()
HIERARCHICAL = HierarchicalSpace()


@pytest.mark.parametrize(
    ("text", "parameters", "with_auxiliary", "macs"),
    [
        (NASNET_A, 3_830_950, 4_288_944, 603_452_448),
        (AMOEBANET_A, 3_145_078, 3_603_072, 488_931_552),
    ],
    ids=["NASNet-A", "AmoebaNet-A"],
)
def test_published_sizes(text: str, parameters: int, with_auxiliary: int, macs: int) -> None:
    with torch.device("meta"):
        network = build_network(NASNET.parse(text), num_classes=10, auxiliary=True)
    assert count_parameters(network) == parameters
    assert count_parameters(network, auxiliary=True) == with_auxiliary
    assert count_macs(network, (3, 32, 32)) == macs


def test_a_concatenation_costs_its_convolution() -> None:
    """2C x C weights and a batch norm of C, in each normal cell."""
    plain = NASNET.parse(NASNET_A)
    joined = NASNET.from_genotype(NASNET.genotype(plain), ([4], []))
    with torch.device("meta"):
        sizes = [
            count_parameters(build_network(a, num_classes=10, channels=6, cells=3))
            for a in (plain, joined)
        ]
    assert sizes[1] - sizes[0] == 2 * 6 * 6 + 2 * 6  # cells 1 and 2 are reduction cells


def cell(*edges: tuple[int, int, str | None], combine: tuple[int, ...] = ()) -> GraphCell:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    for node in sorted({node for edge in edges for node in edge[:2]}):
        graph.add_node(node, label=str(node), **({"combine": "concat"} if node in combine else {}))
    for source, target, operation in edges:
        graph.add_edge(source, target, **({} if operation is None else {"operation": operation}))
    torch.manual_seed(0)
    return GraphCell(graph, 4).eval()


def test_sums_concatenations_and_what_is_dead() -> None:
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(cell((0, 1, "skip_connect"), (1, 2, None))(x), x)
    torch.testing.assert_close(cell((0, 1, "skip_connect"), (0, 2, None), (1, 2, None))(x), 2 * x)
    none = cell((0, 1, "nor_conv_3x3"), (1, 2, "none"), (0, 2, "skip_connect"))
    assert not list(none.parameters())
    torch.testing.assert_close(none(x), x)
    torch.testing.assert_close(cell((0, 1, "none"))(x), torch.zeros_like(x))
    joined = cell((0, 1, "max_pool_3x3"), (0, 2, None), (1, 2, None), combine=(2,))
    assert count_parameters(joined) == 8 * 4 + 2 * 4
    assert joined(x).shape == x.shape
    single = cell((0, 1, "none"), (0, 2, None), (1, 2, None), combine=(2,))
    torch.testing.assert_close(single(x), x)


@pytest.mark.parametrize(
    "edges",
    [[(0, 2, None), (1, 2, None)], [(0, 1, None), (0, 2, None)]],
    ids=["two inputs", "two outputs"],
)
def test_other_graphs_are_refused(edges: list[tuple[int, int, str | None]]) -> None:
    with pytest.raises(ValueError, match="allowed is one cell with one input and one output"):
        cell(*edges)


class Recursive(torch.nn.Module):
    """A hierarchical cell computed motif by motif, with the modules of the flattened one."""

    def __init__(self, space: HierarchicalSpace, architecture: Any, flat: GraphCell) -> None:
        super().__init__()
        graph = space.flattened(architecture)
        self.live = space._live(architecture)
        order = list(nx.lexicographical_topological_sort(graph, key=list(graph).index))
        numbers = {name: number for number, name in enumerate(order)}
        self.space, self.flat, self.numbers = space, flat, numbers

    def motif(self, level: int, motif: int, x: torch.Tensor, source: str, prefix: str) -> Any:
        values, names = {0: x}, {0: source}
        arriving: dict[int, list[torch.Tensor]] = {}
        last = self.space.nodes[level - 2] - 1
        for (start, end), choice in self.live[level, motif].items():
            if start and start not in values:
                values[start] = self.joined(names[start], arriving[start])
            name = names.setdefault(end, f"{prefix}{end}")
            if level == 2:
                edge = f"{self.numbers[names[start]]}>{self.numbers[name]}"
                value = self.flat.operations[edge](values[start])
            else:
                inner = int(choice.rpartition("_")[2])
                value = self.motif(
                    level - 1, inner, values[start], names[start], f"{name}<{start}."
                )
            arriving.setdefault(end, []).append(value)
        return self.joined(names[last], arriving[last])

    def joined(self, name: str, parts: list[torch.Tensor]) -> torch.Tensor:
        if len(parts) == 1:
            return parts[0]
        found: torch.Tensor = self.flat.joins[str(self.numbers[name])](torch.cat(parts, dim=1))
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.motif(self.space.levels[-1], 0, x, "input", "")
        return found


def test_a_flattened_cell_computes_what_its_motifs_do() -> None:
    rng, x = np.random.default_rng(3), torch.randn(2, 4, 6, 6)
    for _ in range(5):
        architecture = HIERARCHICAL.random(rng)
        torch.manual_seed(0)
        flat = GraphCell(HIERARCHICAL.flattened(architecture), 4).eval()
        with torch.no_grad():
            expected = Recursive(HIERARCHICAL, architecture, flat)(x)
            torch.testing.assert_close(flat(x), expected)
        assert float(expected.std()) > 0


def test_the_network_of_genetic_cnn() -> None:
    """Each node is a convolution of 9 C^2 weights and a batch norm of 2 C."""
    space = GeneticCNNSpace((3, 4))

    def size(text: str) -> int:
        network = build_network(space.parse(text), num_classes=10, in_channels=3, channels=4)
        assert network(torch.randn(2, 3, 9, 7)).shape == (2, 10)
        return count_parameters(network)

    first = 9 * 3 * 4 + 2 * 4 + 9 * 4 * 8 + 2 * 8 + 8 * 10 + 10
    assert size("0-00|0-00-000") == first
    # Two connected nodes and the last convolution.
    assert size("1-00|0-00-000") == first + 3 * (9 * 4 * 4 + 2 * 4)
    assert size("1-11|1-11-111") == first + 4 * (9 * 4 * 4 + 8) + 5 * (9 * 8 * 8 + 16)
