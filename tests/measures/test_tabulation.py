"""What operations cost in their places: sums that are networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from optuna_nas.measures import MEASURES, Measure, Reading
from optuna_nas.measures.tabulation import network_cost, network_of, tabulate
from optuna_nas.spaces import CellSpace, DARTSSpace, SearchSpace
from optuna_nas.supernets import Supernet, build_supernet

SHAPE = (3, 9, 10)
CELLS = CellSpace(4, ["none", "skip_connect", "nor_conv_3x3", "avg_pool_3x3"])

WITHOUT_NONE = DARTSSpace(["max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"])


def supernet(space: SearchSpace = CELLS, cells: int = 2) -> Supernet:
    return build_supernet(space, num_classes=5, channels=4, cells=cells)


@pytest.mark.parametrize(("space", "cells"), [(CELLS, 2), (WITHOUT_NONE, 3)])
def test_macs_of_networks_are_what_the_table_says(space: SearchSpace, cells: int) -> None:
    network, rng = supernet(space, cells), np.random.default_rng(1)
    table = tabulate(network, SHAPE, MEASURES["macs"])
    assert table.base > 0
    for _ in range(5):
        architecture = space.random(rng)
        found = MEASURES["macs"](network_of(network, architecture), torch.zeros(1, *SHAPE))
        assert network_cost(table, network, architecture) == found


def test_a_row_is_the_sum_over_the_copies_of_a_cell() -> None:
    """Three stages of two cells: 4, 8 and 16 channels, on 9 x 10, 5 x 5 and 3 x 3 pixels."""
    table = tabulate(supernet(), SHAPE, MEASURES["macs"])
    assert table.operations == CELLS.operations
    assert table.places == tuple(f"cell/{s}-{t}" for s, t in CELLS.edges)
    conv = 2 * 9 * (4 * 4 * 90 + 8 * 8 * 25 + 16 * 16 * 9)
    assert table.values.tolist() == [[0, 0, conv, 0]] * 6
    parameters = tabulate(supernet(), SHAPE, MEASURES["parameters"])
    conv = 2 * (9 * (4 * 4 + 8 * 8 + 16 * 16) + 2 * (4 + 8 + 16))
    assert parameters.values.tolist() == [[0, 0, conv, 0]] * 6


def test_parameters_of_a_network_whose_edges_all_matter() -> None:
    network = supernet()
    table = tabulate(network, SHAPE, MEASURES["parameters"])
    whole = CELLS.architecture(dict.fromkeys(CELLS.distributions, "nor_conv_3x3"))
    found = MEASURES["parameters"](network_of(network, whole), torch.zeros(1, *SHAPE))
    assert network_cost(table, network, whole) == found


def test_equal_operations_are_measured_once_and_absent_ones_never() -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []

    def measure(module: nn.Module, inputs: torch.Tensor) -> Reading:
        seen.append((repr(module), tuple(inputs.shape)))
        assert not module.training
        return Reading(1.0 if isinstance(module, nn.Sequential) else 50.0, 0.5)

    table = tabulate(supernet(), SHAPE, Measure("timed", measure, "ms"))
    alone = [shape for _, shape in seen[:-15]]  # and fifteen networks
    assert sorted(alone) == sorted([(1, 4, 9, 10), (1, 8, 5, 5), (1, 16, 3, 3)] * 3)
    assert not any("Zero" in name for name, _ in seen[:-15])
    assert {shape for _, shape in seen[-15:]} == {(1, *SHAPE)}
    assert table.values.tolist() == [[0, 6, 6, 6]] * 6  # six copies of the cell
    assert table.unit == "ms"
    assert 0 < table.base < 50  # the median of what is left


def test_what_does_not_add_up() -> None:
    with pytest.raises(ValueError, match=r"^`measure` is 'memory', and that of a network is no s"):
        tabulate(supernet(), SHAPE, MEASURES["memory"])


def test_latency_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optuna_nas.measures.timing._SECONDS", 0.001)
    arguments: dict[str, Any] = {"device": torch.device("cpu"), "seed": 3}
    table = tabulate(supernet(cells=1), SHAPE, MEASURES["latency"], **arguments)
    skip, conv = table.values[:, 1], table.values[:, 2]
    assert (conv > skip).all()
