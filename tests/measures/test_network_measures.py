"""Measures of networks: exact counts, what is left as it was, and names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optuna_nas.measures import MEASURES, Measure, Reading
from optuna_nas.networks import count_macs, count_parameters


class Residual(nn.Module):
    """Two linear layers, the inputs added to their result."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(10, 30), nn.Linear(30, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = x + self.second(self.first(x))
        return found


class Named(nn.Module):
    """A network with keyword arguments."""

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (tokens @ tokens.T) * mask


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())


def test_parameters_and_macs_are_those_of_the_networks() -> None:
    network, image = small(), torch.zeros(1, 3, 6, 5)
    assert MEASURES["parameters"](network, image) == count_parameters(network) == 3 * 8 * 9 + 24
    assert MEASURES["macs"](network, image) == count_macs(network, (3, 6, 5)) == 30 * 3 * 8 * 9


def test_inputs_by_keyword() -> None:
    inputs = {"tokens": torch.zeros(4, 6), "mask": torch.ones(4, 4)}
    assert MEASURES["macs"](Named(), inputs) == 4 * 4 * 6
    # The inputs, the product and what it becomes; the transposed view is no memory of its own.
    assert MEASURES["memory"](Named(), inputs) == 4 * (24 + 16 + 16 + 16)


@pytest.mark.parametrize(
    ("network", "numbers"),
    [
        (nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5)), 10 + 20 + 20),
        (nn.Sequential(nn.Linear(10, 20), nn.ReLU(inplace=True), nn.Linear(20, 5)), 10 + 20 + 5),
        (Residual(), 10 + 30 + 10),  # the sum takes less than the layer between
        (nn.Flatten(), 10),  # a view
        (nn.Identity(), 10),
    ],
)
def test_memory_counts_what_lives_at_once(network: nn.Module, numbers: int) -> None:
    image = torch.zeros(1, 10)
    assert MEASURES["memory"](network, image) == 4 * numbers
    assert MEASURES["memory"](network.double(), image.double()) == 8 * numbers


def test_memory_of_a_longer_chain_is_that_of_its_widest_place() -> None:
    layers = [nn.Linear(8, 100), nn.Linear(100, 4), *(nn.Linear(4, 4) for _ in range(50))]
    assert MEASURES["memory"](nn.Sequential(*layers), torch.zeros(1, 8)) == 4 * (8 + 100 + 4)


@pytest.mark.parametrize("name", ["parameters", "macs", "memory", "latency"])
def test_the_network_is_left_as_it_was(name: str) -> None:
    network = small()
    network[1].eval()
    threads = torch.get_num_threads()
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    assert MEASURES[name](network, torch.randn(1, 3, 6, 6)) > 0
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.get_num_threads() == threads


def test_latency_says_how_sure_it_is() -> None:
    value, spread = MEASURES["latency"].read(small(), torch.zeros(1, 3, 8, 8))
    assert value > 0
    assert spread is not None
    assert spread >= 0


def test_a_measure_of_ones_own() -> None:
    def widest(network: nn.Module, inputs: Any) -> float:
        assert not network.training
        assert not torch.is_grad_enabled()
        return max(parameter.shape[0] for parameter in network.parameters())

    measure = Measure("widest", widest, unit="channels")
    network = small().train()
    assert measure(network, None) == 8.0
    assert measure.read(network, None) == Reading(8.0, None)
    assert network.training


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "much"])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^The measure 'odd' returned .*; allowed are finite"):
        Measure("odd", lambda network, inputs: value)(small(), None)


@pytest.mark.parametrize("name", ["", "a b", "1st", "latency (ms)", 3])
def test_names_that_no_attribute_can_have(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^`name` is .*; allowed are letters"):
        Measure(name, lambda network, inputs: 1.0)


def test_directions() -> None:
    more = Measure("speed", lambda network, inputs: 1.0, direction="maximize")
    assert more.study_direction.name == "MAXIMIZE"
    with pytest.raises(ValueError, match=r"^`direction` is 'up'; allowed are 'minimize'"):
        Measure("speed", lambda network, inputs: 1.0, direction="up")  # type: ignore[arg-type]


def test_each_measure_has_the_name_it_is_known_by() -> None:
    assert all(name == measure.name for name, measure in MEASURES.items())
    assert set(MEASURES) >= {"parameters", "macs", "memory", "latency", "energy"}
