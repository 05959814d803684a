"""Latency: the milliseconds of a forward pass of one example (see `timing`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_integer
from optuna_nas.measures.measure import Inputs, Measure, Reading, device_of, forward
from optuna_nas.measures.timing import Timing, alone, clock_for, time_in_turns

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LATENCY", "latency", "time_networks"]


def latency(threads: int | None = 1) -> Measure:
    """The measure with another number of threads.

    Args:
        threads: Threads of a CPU; None for as many as the process has.

    Raises:
        ValueError: `threads` is neither.
    """
    count = None if threads is None else checked_integer("threads", threads)

    def measure(network: nn.Module, inputs: Inputs) -> Reading:
        [found] = time_networks([network], inputs, threads=count)
        return Reading(1000 * found.median, 1000 * found.spread)

    return Measure("latency", measure, unit="ms", summary="time of a forward pass of one example")


def time_networks(
    networks: Sequence[nn.Module], inputs: Inputs, *, threads: int | None = 1
) -> list[Timing]:
    """Time forward passes of networks in turns.

    Args:
        networks: The networks, in evaluation mode, on the device of the inputs.
        inputs: What each is called with.
        threads: Threads of a CPU; None for as many as the process has.
    """
    import torch

    device = device_of(inputs)
    with alone(device, threads) as wait, torch.inference_mode():
        calls = [partial(forward, network, inputs) for network in networks]
        return time_in_turns(calls, wait, clock=clock_for(device, threads))


LATENCY = latency()
