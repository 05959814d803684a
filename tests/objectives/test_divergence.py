"""What a network says after a step that broke its weights is no prediction of the first class."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState
from torch import nn

from optuna_nas.data import ImageData, ImageSplit
from optuna_nas.objectives import CellCNN, Darts, EdgeNES
from optuna_nas.objectives.edge_nes import (
    HypernetworkSettings,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.objectives.training import evaluate, probabilities
from optuna_nas.spaces import NASBench201Space
from optuna_nas.tasks import ACCURACY
from optuna_nas.trials.divergence import DivergedError

SPACE = NASBench201Space()
# One step, whose loss is finite; after it nothing else is.
SMALL: dict[str, Any] = {"epochs": 1, "batch_size": 500, "channels": 2}
BROKEN: dict[str, Any] = SMALL | {"learning_rate": 1e38, "gradient_clip": math.inf}


def ensemble(data: ImageData, search: Any, hypernetwork: Any, training: Any) -> EdgeNES:
    return EdgeNES(
        data,
        size=2,
        candidates=2,
        search=SupernetSettings(**search),
        hypernetwork=HypernetworkSettings(**hypernetwork),
        training=TrainingSettings(**training),
        artifacts=None,
    )


OBJECTIVES: dict[str, Callable[[ImageData], Callable[[optuna.Trial], float]]] = {
    "CellCNN": lambda data: CellCNN(SPACE, data, cells=1, artifacts=None, **BROKEN),
    "Darts": lambda data: Darts(SPACE, data, cells=1, artifacts=None, **BROKEN),
    "the supernet of EdgeNES": lambda data: ensemble(data, BROKEN, SMALL, SMALL),
    "the hypernetwork of EdgeNES": lambda data: ensemble(data, SMALL, BROKEN, SMALL),
    "a candidate of EdgeNES": lambda data: ensemble(data, SMALL, SMALL, BROKEN),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_last_step_that_breaks_the_weights(name: str, few_digits: ImageData) -> None:
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(dict.fromkeys(SPACE.distributions, "nor_conv_3x3"))
    study.optimize(OBJECTIVES[name](few_digits), n_trials=1)
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["diverged"] == "outputs of the network are not finite"
    assert not any(map(math.isnan, trial.intermediate_values.values()))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("measure", [partial(evaluate, score=ACCURACY), probabilities])
def test_outputs_that_are_not_finite(measure: Callable[..., Any], value: float) -> None:
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.where(torch.arange(3) == images[:, 0, 0, :1], value, 0.0)

    split = ImageSplit(torch.full((4, 1, 1, 1), 9.0), torch.zeros(4, dtype=torch.long))
    measure(Broken(), split)  # all are finite
    split.images[3] = 1.0  # and here not
    with pytest.raises(DivergedError, match="outputs of the network are not finite"):
        measure(Broken(), split)
