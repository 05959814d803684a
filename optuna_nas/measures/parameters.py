"""The number of trainable parameters, without those of an auxiliary head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_nas.measures.measure import Inputs, Measure

if TYPE_CHECKING:
    from torch import nn


def _parameters(network: nn.Module, inputs: Inputs) -> float:
    from optuna_nas.networks import count_parameters

    return count_parameters(network)


PARAMETERS = Measure("parameters", _parameters, summary="trainable parameters")
