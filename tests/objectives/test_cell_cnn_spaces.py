"""The networks of every space train."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState
from torch import nn

from optuna_nas import BananasSampler
from optuna_nas.data import ImageData
from optuna_nas.networks import count_parameters, register_operation
from optuna_nas.objectives import CellCNN
from optuna_nas.objectives.training import Trainer
from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    ChainSpace,
    DARTSSpace,
    GeneticCNNSpace,
    HierarchicalSpace,
    NASBench101Space,
    NASBench201Space,
    NASNetSpace,
    SearchSpace,
)

Small = Callable[..., CellCNN]


@register_operation("tests.gated_conv")
class GatedConv(nn.Module):
    """An operation of one's own that is in no other space; it counts how often it is used."""

    used = 0

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 2 * channels_out, 3, stride, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        type(self).used += 1
        value, gate = self.conv(x).chunk(2, dim=1)  # B C H W each
        gated: torch.Tensor = value * gate.sigmoid()
        return gated


def networks_of(objective: CellCNN) -> list[nn.Module]:
    """The networks that the objective will build from now on."""
    build, built = objective.build, []

    def recording(
        architecture: Architecture, generator: torch.Generator | None = None
    ) -> nn.Module:
        built.append(build(architecture, generator))
        return built[-1]

    objective.build = recording  # type: ignore[method-assign]
    return built


@pytest.mark.parametrize(
    ("space", "cells"),
    [
        (NASBench201Space(), 1),
        (NASBench101Space(), 1),
        (NASBench101Space(max_vertices=4, max_edges=5), 2),
        (DARTSSpace(), 3),
        (CellSpace(3, ["none", "tests.gated_conv", "max_pool_3x3"]), 1),
        (ChainSpace(), None),
        (NASNetSpace(), 3),
        (HierarchicalSpace(), 1),
        (GeneticCNNSpace(), 1),
    ],
    ids=[
        "201",
        "101",
        "101 of 4",
        "DARTS",
        "own operation",
        "chain",
        "NASNet",
        "motifs",
        "Genetic CNN",
    ],
)
def test_an_epoch_of_each_space(small: Small, space: SearchSpace, cells: int | None) -> None:
    GatedConv.used = 0
    objective = small(space=space, cells=cells, epochs=1)
    study = optuna.create_study(direction="maximize", sampler=BananasSampler(seed=2))
    study.optimize(objective, n_trials=2)
    for trial in study.trials:
        assert trial.state == TrialState.COMPLETE
        architecture = space.architecture(trial.params)
        assert trial.user_attrs["architecture"] == str(architecture)
        parameters = count_parameters(objective.build(architecture))
        assert trial.user_attrs["parameters"] == parameters > 0
        assert 0 <= trial.user_attrs["test_accuracy"] <= 1
    assert (GatedConv.used > 0) == (space.name == "CellSpace")


def test_every_operation_of_a_space_gets_trained(small: Small) -> None:
    space = CellSpace(2, ["skip_connect", "nor_conv_3x3", "tests.gated_conv"])
    study = optuna.create_study(direction="maximize", sampler=BananasSampler(seed=0))
    study.optimize(small(space=space, epochs=1), n_trials=3)
    assert {trial.params["edge_0_1"] for trial in study.trials} == set(space.operations)


def test_darts_with_auxiliary_head_and_drop_path(
    small: Small, colour_noise: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = small(
        space=DARTSSpace(),
        data=colour_noise,
        cells=3,
        channels=2,
        epochs=3,
        batch_size=6,
        auxiliary=True,
        drop_path_probability=0.6,
    )
    probabilities: list[float] = []
    train_epoch = Trainer.train_epoch

    def recording(trainer: Trainer) -> float:
        loss = train_epoch(trainer)
        probabilities.append(networks[0].drop_path_probability)  # type: ignore[arg-type]
        return loss

    monkeypatch.setattr(Trainer, "train_epoch", recording)
    networks = networks_of(objective)
    architecture = DARTSSpace().random(np.random.default_rng(0))
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(architecture.params)
    study.optimize(objective, n_trials=1)
    trial = study.trials[0]
    assert trial.state == TrialState.COMPLETE
    assert probabilities == pytest.approx([0, 0.2, 0.4])  # rises from zero
    # The head is trained, and counts neither as parameters nor as multiply-accumulates.
    head = networks[0].auxiliary_head
    assert isinstance(head, nn.Module)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    plain = small(space=DARTSSpace(), data=colour_noise, cells=3, channels=2)
    assert trial.user_attrs["parameters"] == count_parameters(plain.build(architecture))
    plain_trial = optuna.trial.FixedTrial(architecture.params)
    plain(plain_trial)
    assert trial.user_attrs["flops"] == plain_trial.user_attrs["flops"]


def test_drop_path_changes_the_training_and_is_seeded(
    small: Small, colour_noise: ImageData
) -> None:
    params = DARTSSpace().random(np.random.default_rng(1)).params

    def final_bias(probability: float) -> torch.Tensor:
        objective = small(
            space=DARTSSpace(),
            data=colour_noise,
            cells=2,
            channels=2,
            epochs=2,
            drop_path_probability=probability,
        )
        networks = networks_of(objective)
        objective.evaluate(params)
        return networks[0].get_parameter("classifier.linear.bias").detach()

    assert torch.equal(final_bias(0.5), final_bias(0.5))
    assert not torch.equal(final_bias(0.5), final_bias(0.0))
