"""The steps of a supernet and its architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from optuna_nas.data import ImageSplit
from optuna_nas.methods import ArchitectureHypernetwork, Engine, Method, Schedule, SharedEdges
from optuna_nas.methods.edge_nes.method import shared_edges_penalty
from optuna_nas.spaces import EdgeNESSpace
from optuna_nas.supernets import Supernet, Weights, build_supernet
from tests.classifying import classifying

SPACE = EdgeNESSpace(("skip_connect", "max_pool_3x3"), 2)
METHOD = Method(
    name="test",
    summary="for tests",
    schedule=Schedule(
        epochs=1,
        batch_size=4,
        weight_decay=0.0,
        architecture_learning_rate=0.01,
        architecture_weight_decay=0.0,
    ),
)
PENALISED = replace(METHOD, regulariser=shared_edges_penalty)


def images(count: int) -> ImageSplit:
    generator = torch.Generator().manual_seed(count)
    return ImageSplit(torch.randn(count, 1, 8, 8, generator=generator), torch.arange(count) % 3)


def supernet() -> Supernet:
    generator = torch.Generator().manual_seed(0)
    sizes = {"num_classes": 3, "in_channels": 1, "channels": 2, "cells": 1}
    return build_supernet(SPACE, **sizes, generator=generator)


def engine(
    method: Method, network: Supernet, architecture: nn.Module, *, train: int, held_out: int
) -> Engine:
    return Engine(
        method,
        network,
        architecture,
        images(train),
        images(held_out),
        task=classifying(),
        generator=torch.Generator().manual_seed(0),
    )


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

    def strengths(self) -> Weights:
        return {"cell": self.logits.detach().softmax(dim=1)}

    def penalty(self, generator: torch.Generator, progress: float) -> torch.Tensor:
        self.note("penalty", generator, progress)
        return (7 * self.logits).sum()


def test_penalty_and_weights_of_a_step_have_the_same_noise() -> None:
    """And the step of the network's weights has noise of its own."""
    network = supernet()
    recorder = Recorder(len(network.edges["cell"]))
    engine(PENALISED, network, recorder, train=12, held_out=9).train_epoch()
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
    engine(PENALISED, network, hypernetwork, train=12, held_out=9).train_epoch()
    assert len(positions) == 9
    assert positions[0::3] == positions[1::3]
    assert len(set(positions)) == 6


def test_the_gradient_of_the_penalty_is_added_once() -> None:
    def gradient(penalised: bool) -> torch.Tensor:
        network = supernet()
        recorder = Recorder(len(network.edges["cell"]))
        method = PENALISED if penalised else METHOD
        engine(method, network, recorder, train=4, held_out=4).train_epoch()
        assert recorder.logits.grad is not None
        return recorder.logits.grad

    plain = gradient(False)
    assert float(plain.abs().max()) > 0
    torch.testing.assert_close(gradient(True), plain + 7)


class Halved:
    """A perturbation that halves all weights, and notes losses on the way."""

    def __init__(self) -> None:
        self.losses: list[tuple[float, float]] = []

    def __call__(
        self,
        weights: Weights,
        loss: Callable[[Weights], torch.Tensor],
        generator: torch.Generator,
        progress: float,
    ) -> Weights:
        half = {kind: w / 2 for kind, w in weights.items()}
        with torch.no_grad():
            self.losses.append((float(loss(weights)), float(loss(half))))
        return half


def test_a_perturbation_is_of_the_step_of_the_weights_only() -> None:
    """The mean loss of the epoch is that at the perturbed weights; the architecture's is not."""
    perturbation = Halved()
    method = replace(METHOD, perturbation=perturbation)
    network = supernet()
    recorder = Recorder(len(network.edges["cell"]))
    search = engine(method, network, recorder, train=12, held_out=9)
    loss = search.train_epoch()
    assert len(perturbation.losses) == 3
    assert loss == pytest.approx(sum(half for _, half in perturbation.losses) / 3)
    first, second = (Recorder(len(recorder.logits)) for _ in range(2))
    for kind, architecture in ((METHOD, first), (method, second)):
        engine(kind, supernet(), architecture, train=4, held_out=4).train_epoch()
    assert torch.equal(first.logits, second.logits)  # one step, before the weights moved


class AfterTwo:
    """Stops after two epochs, and goes back to the first one."""

    def __call__(self, search: Engine) -> int | None:
        return 1 if search.epochs == 2 else None


def test_stopping_goes_back_to_an_earlier_epoch() -> None:
    schedule = replace(METHOD.schedule, epochs=5, architecture_learning_rate=0.5)
    method = replace(METHOD, schedule=schedule, stopping=AfterTwo())
    recorder = Recorder(len(supernet().edges["cell"]))
    search = engine(method, supernet(), recorder, train=12, held_out=9)
    while search.kept_epochs is None:
        search.train_epoch()
    assert (search.epochs, len(search.trajectory)) == (2, 3)
    first, last = search.trajectory[1]["cell"], search.trajectory[-1]["cell"]
    assert torch.equal(search.strengths()["cell"], first) and not torch.equal(first, last)
    assert method.selection(search) == search.supernet.derive({"cell": first})
    again = engine(method, supernet(), Recorder(len(first)), train=12, held_out=9)
    again.load(search.state())
    assert again.kept_epochs == 1
    assert torch.equal(again.strengths()["cell"], first)
