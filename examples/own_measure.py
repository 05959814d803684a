"""A measure of one's own: how far a network's answer moves when its image is blurred.

From the command line, in the folder of this file, beside accuracy and within a limit:

    optuna-nas search --goals accuracy,own_measure:DRIFT --max-parameters 6_000 --channels 4 \
        --cells 1 --epochs 3 --trials 12
    optuna-nas report

The same command goes on with a search that was stopped. `DEPTH` depends on the architecture only,
so networks over `--limits own_measure:DEPTH=5` are not trained.
"""

from __future__ import annotations

import optuna
import torch
from torch import nn
from torch.nn import functional as F

import optuna_nas as nas
from optuna_nas.measures import Measure


def depth(network: nn.Module, inputs: torch.Tensor) -> float:
    """Count the convolutions of the network."""
    return sum(isinstance(module, nn.Conv2d) for module in network.modules())


def drift(network: nn.Module, inputs: torch.Tensor) -> float:
    """Blur noise, and compare the probabilities of the classes, from 0 to 1."""
    noise = torch.rand(64, *inputs.shape[1:], generator=torch.Generator().manual_seed(0))
    images = noise.to(inputs)
    blurred = F.avg_pool2d(images, 3, stride=1, padding=1)
    before, after = (network(x).softmax(dim=1) for x in (images, blurred))
    return float((before - after).abs().sum(dim=1).mean() / 2)


DEPTH = Measure("depth", depth, unit="layers", summary="convolutions of the network")
DRIFT = Measure("drift", drift, summary="how far a blur moves the answer", trained=True)

if __name__ == "__main__":
    objective = nas.objectives.CellCNN(
        nas.spaces.NASBench201Space(),
        "digits",
        epochs=3,
        channels=4,
        cells=1,
        goals=("accuracy", DRIFT),
        limits={DEPTH: 12},
    )
    study = optuna.create_study(
        directions=objective.directions, sampler=nas.BananasSampler(seed=0)
    )
    study.optimize(objective, n_trials=12)
    for trial in study.best_trials:
        print(trial.number, trial.values, trial.user_attrs["depth"])
