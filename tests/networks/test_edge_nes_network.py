"""The network of an EdgeNES cell: sizes by hand, and agreement with the network of DARTS."""

from __future__ import annotations

import pytest
import torch

from optuna_nas.networks import EdgeNESNetwork, build_network, count_parameters
from optuna_nas.spaces import EdgeNESSpace

SPACE = EdgeNESSpace()
GENES = (("sep_conv_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 0), ("dil_conv_5x5", 3))


def test_parameters_by_hand() -> None:
    """Two cells that halve the resolution; batch norm has two weights for each channel."""
    c = 16
    network = build_network(SPACE.from_genes(GENES), num_classes=10)
    stem = 27 * 3 * c + 6 * c
    total = stem
    before_last, last = 3 * c, 3 * c
    for cell, width in enumerate((2 * c, 4 * c)):
        # After a reduction the older input is halved: two 1x1 convolutions of half the width.
        preprocess = (before_last + last) * width + 4 * width
        separable = 2 * (9 * width + width**2) + 4 * width
        dilated = 25 * width + width**2 + 2 * width
        total += preprocess + separable + dilated  # the skip from node 2 is an identity
        before_last, last = last, 4 * width
        assert cell in (0, 1)
    assert count_parameters(network) == total + 10 * last + 10


@pytest.mark.parametrize(("cells", "side"), [(1, 4), (2, 2), (3, 2), (6, 2)])
def test_two_reductions_but_for_a_single_cell(cells: int, side: int) -> None:
    network = build_network(SPACE.from_genes(GENES), num_classes=3, channels=2, cells=cells)
    assert isinstance(network, EdgeNESNetwork)
    sizes = []
    network.cells[-1].register_forward_hook(lambda _, __, out: sizes.append(out.shape[2:]))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)
    assert sizes == [(side, side)]


def test_a_node_is_one_operation_on_one_node() -> None:
    """What the cell concatenates, computed from its own operations one by one."""
    network = build_network(SPACE.from_genes(GENES), num_classes=3, channels=4, cells=1).eval()
    x = torch.randn(2, 3, 8, 8)
    cell = network.get_submodule("cells.0")
    stem = network.get_submodule("stem")(x)
    inputs = [cell.get_submodule(f"preprocess.{i}")(stem) for i in (0, 1)]
    values = list(inputs)
    for node, (_, source) in enumerate(GENES):
        values.append(cell.get_submodule(f"operations.{2 * node}")(values[source]))
    torch.testing.assert_close(cell(stem, stem), torch.cat(values[2:], dim=1))
