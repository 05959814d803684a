from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optuna_nas.networks import count_macs, count_parameters


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        )
        self.grouped = nn.Conv2d(6, 6, 5, padding=2, groups=3, bias=False)
        self.auxiliary_head = nn.Linear(6, 7)
        self.classifier = nn.Linear(6, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        x = self.grouped(self.body(images)).mean(dim=(2, 3))
        logits: torch.Tensor = self.classifier(x)
        return logits


def test_parameters() -> None:
    network = Small()
    body = 4 * 6 * 9 + 6 + 12
    assert count_parameters(network) == body + 2 * 6 * 25 + 70
    assert count_parameters(network, auxiliary=True) == body + 2 * 6 * 25 + 70 + 49
    network.body.requires_grad_(False)
    assert count_parameters(network) == 2 * 6 * 25 + 70


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_macs(device: str) -> None:
    network = Small().to(device)
    # 8 x 6 images become 4 x 3.
    assert count_macs(network, (4, 8, 6)) == 12 * (4 * 6 * 9 + 2 * 6 * 25) + 60


def test_macs_leave_the_network_as_it_was() -> None:
    network = Small().double()
    network.body.eval()
    network.auxiliary_head.weight.grad = torch.ones(7, 6).double()
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    count_macs(network, [4, 8, 8])
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert network.classifier.weight.grad is None


def test_modes_are_restored_after_an_error() -> None:
    network = Small()
    with pytest.raises(RuntimeError, match="channels"):
        count_macs(network, (5, 8, 8))
    assert network.training


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 0), (1, 3, 8, 8), (3.0, 8, 8)])
def test_shape_is_checked(shape: Any) -> None:
    with pytest.raises(ValueError, match="`input_shape` is"):
        count_macs(Small(), shape)


def test_a_network_without_parameters() -> None:
    assert count_macs(nn.Flatten(), (3, 8, 8)) == 0
    assert count_parameters(nn.Flatten()) == 0
