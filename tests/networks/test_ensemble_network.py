"""An ensemble as a network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas.networks import EnsembleNetwork


def linear(seed: int, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(seed)
    layer = nn.Linear(12, 5)
    with torch.no_grad():
        layer.weight *= scale
    return nn.Sequential(nn.Flatten(), layer)


def test_the_softmax_is_the_mean_of_the_probabilities() -> None:
    members = [linear(seed) for seed in range(3)]
    images, labels = torch.randn(7, 3, 2, 2), torch.arange(7) % 5
    logits = EnsembleNetwork(members)(images)
    mean = torch.stack([member(images).softmax(1) for member in members]).mean(0)
    torch.testing.assert_close(logits.softmax(1), mean)
    torch.testing.assert_close(logits.exp(), mean)
    likelihood = -mean[torch.arange(7), labels].log().mean()
    torch.testing.assert_close(F.cross_entropy(logits, labels), likelihood)


def test_tiny_probabilities_stay_finite() -> None:
    members = [linear(seed, 1e4) for seed in range(2)]
    assert bool(EnsembleNetwork(members)(torch.randn(7, 3, 2, 2)).isfinite().all())


def test_no_members() -> None:
    with pytest.raises(ValueError, match="`members` is empty"):
        EnsembleNetwork([])
