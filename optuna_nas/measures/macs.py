"""Multiply-accumulates of one example, which the field calls FLOPs.

Those of convolutions, linear layers and attention, without biases, of what evaluation computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_nas.measures.measure import Inputs, Measure

if TYPE_CHECKING:
    from torch import nn


def _macs(network: nn.Module, inputs: Inputs) -> float:
    from optuna_nas.networks.measure import macs_of

    return macs_of(network, inputs)


MACS = Measure("macs", _macs, summary="multiply-accumulates of one example")
