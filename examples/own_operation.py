"""Cells of five nodes with an operation of one's own.

From the command line, in the folder of this file:

    optuna-nas search --space own_operation:space --channels 8 --cells 1
"""

from __future__ import annotations

import optuna
from torch import nn

import optuna_nas as nas
from optuna_nas.networks import register_operation


@register_operation("conv_5x5")
def conv_5x5(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """ReLU, 5x5 convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, 5, stride, padding=2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


space = nas.spaces.CellSpace(5, ["none", "skip_connect", "nor_conv_3x3", "conv_5x5"])

if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler(seed=0))
    study.optimize(nas.objectives.CellCNN(space, "digits", epochs=5, channels=8, cells=1), 5)
    print(space.architecture(study.best_params), study.best_value)
