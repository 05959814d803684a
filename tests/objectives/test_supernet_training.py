"""The steps of a supernet and its architecture, with a penalty."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from optuna_nas.data import ImageSplit
from optuna_nas.methods import ArchitectureHypernetwork, SharedEdges
from optuna_nas.objectives.supernet_training import SearchRecipe, SupernetTrainer
from optuna_nas.objectives.training import Augmentation
from optuna_nas.spaces import EdgeNESSpace
from optuna_nas.supernets import Supernet, Weights, build_supernet

SPACE = EdgeNESSpace(("skip_connect", "max_pool_3x3"), 2)
RECIPE = SearchRecipe(
    epochs=1,
    batch_size=4,
    order=1,
    xi=None,
    learning_rate=0.025,
    final_learning_rate=0.001,
    momentum=0.9,
    weight_decay=0.0,
    gradient_clip=5.0,
    architecture_learning_rate=0.01,
    architecture_weight_decay=0.0,
    augmentation=Augmentation(flip=False, crop_padding=0, cutout=0),
)


def images(count: int) -> ImageSplit:
    generator = torch.Generator().manual_seed(count)
    return ImageSplit(torch.randn(count, 1, 8, 8, generator=generator), torch.arange(count) % 3)


def supernet() -> Supernet:
    generator = torch.Generator().manual_seed(0)
    sizes = {"num_classes": 3, "in_channels": 1, "channels": 2, "cells": 1}
    return build_supernet(SPACE, **sizes, generator=generator)


class Recorder(nn.Module):
    """Parameters whose calls, and those of a penalty, are written down."""

    def __init__(self, edges: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(edges, 2))
        self.calls: list[tuple[str, int, float, float]] = []

    def note(self, name: str, generator: torch.Generator, progress: float) -> None:
        drawn = float(torch.rand((), generator=generator))
        self.calls.append((name, generator.initial_seed(), drawn, progress))

    def forward(self, generator: torch.Generator, progress: float) -> Weights:
        self.note("weights", generator, progress)
        return {"cell": self.logits.softmax(dim=1)}

    def penalty(self, generator: torch.Generator, progress: float) -> torch.Tensor:
        self.note("penalty", generator, progress)
        return (7 * self.logits).sum()


def test_penalty_and_weights_of_a_step_have_the_same_noise() -> None:
    """And the step of the network's weights has noise of its own."""
    network = supernet()
    recorder = Recorder(len(network.edges["cell"]))
    generator = torch.Generator().manual_seed(0)
    SupernetTrainer(
        network, recorder, images(12), images(9), RECIPE, generator, penalty=recorder.penalty
    ).train_epoch()
    assert [call[0] for call in recorder.calls] == ["weights", "penalty", "weights"] * 3
    seeds = set()
    for step in range(3):
        first, penalty, second = recorder.calls[3 * step : 3 * step + 3]
        assert penalty[1:] == first[1:] == (*first[1:3], step / 3)
        assert second[1] != first[1]
        seeds |= {first[1], second[1]}
    assert len(seeds) == 6


def test_a_hypernetwork_is_penalised_at_the_position_of_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = supernet()
    optimum = SPACE.parse("|skip_connect~0|+|max_pool_3x3~2|")
    generator = torch.Generator().manual_seed(0)
    hypernetwork = ArchitectureHypernetwork(SharedEdges(optimum, network), generator=generator)
    positions: list[float] = []
    draw = ArchitectureHypernetwork.draw

    def recording(self: ArchitectureHypernetwork, generator: torch.Generator) -> float:
        positions.append(draw(self, generator))
        return positions[-1]

    monkeypatch.setattr(ArchitectureHypernetwork, "draw", recording)
    SupernetTrainer(
        network,
        hypernetwork,
        images(12),
        images(9),
        RECIPE,
        generator,
        penalty=hypernetwork.penalty,
    ).train_epoch()
    assert len(positions) == 9
    assert positions[0::3] == positions[1::3]
    assert len(set(positions)) == 6


def test_the_gradient_of_the_penalty_is_added_once() -> None:
    def gradient(penalised: bool) -> torch.Tensor:
        network = supernet()
        recorder = Recorder(len(network.edges["cell"]))
        SupernetTrainer(
            network,
            recorder,
            images(4),
            images(4),
            RECIPE,
            torch.Generator().manual_seed(0),
            penalty=recorder.penalty if penalised else None,
        ).train_epoch()
        assert recorder.logits.grad is not None
        return recorder.logits.grad

    plain = gradient(False)
    assert float(plain.abs().max()) > 0
    torch.testing.assert_close(gradient(True), plain + 7)
