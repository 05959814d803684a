"""How long calls take: alone, warmed up, and in turns if they are to be compared.

1. Measurements of one machine wait for each other.
2. Every call is made a few times without being timed.
3. In each round every call is timed once, in one order and in the next round in the other, so that
   a machine that becomes slower, or another program that runs for a while, meets all of them.
4. What counts is the median of the rounds and, of two calls, the median of their ratios.

A GPU returns before it is done, so it is waited for before and after every call. On a CPU one
thread computes unless told otherwise, so that times do not depend on the number of workers; they
are that thread's own time then, which leaves out what other programs take on a busy machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna_nas._locks import machine_lock

if TYPE_CHECKING:
    import torch

__all__ = ["Timing", "alone", "clock_for", "time_in_turns"]

_WARM_UP = 3
_LEAST_ROUNDS = 15
_MOST_ROUNDS = 201
_FINE = 1e-6
"""A clock that ticks less often, as that of threads on Windows, tells too little of a call."""

_SECONDS = 0.5
"""For each call: so long is measured, within these numbers of rounds."""


@dataclass(frozen=True)
class Timing:
    """How long one call took.

    Attributes:
        seconds: Of each round.
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half of the distance between the quartiles, in seconds."""
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (third - first) / 2

    def times_as_long(self, other: Timing) -> float:
        """How many times as long as another call that was timed in turns with it."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median(own / others for own, others in pairs)


def time_in_turns(
    calls: Sequence[Callable[[], Any]],
    wait: Callable[[], None] = lambda: None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Timing]:
    """Time calls, each once in every round.

    Args:
        calls: What to time.
        wait: Waits until what was called is done.
        clock: Tells the time in seconds.
    """
    for call in calls:
        for _ in range(_WARM_UP):
            call()
    seconds: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    spent = 0.0
    while len(seconds[0]) < _LEAST_ROUNDS or (
        spent < _SECONDS * len(calls) and len(seconds[0]) < _MOST_ROUNDS
    ):
        for number in order:
            wait()
            started = clock()
            calls[number]()
            wait()
            seconds[number].append(clock() - started)
            spent += seconds[number][-1]
        order.reverse()
    return [Timing(tuple(found)) for found in seconds]


def clock_for(device: torch.device, threads: int | None) -> Callable[[], float]:
    """The clock that tells how long a device computes: see the module."""
    own = device.type == "cpu" and threads == 1
    fine = time.get_clock_info("thread_time").resolution <= _FINE
    return time.thread_time if own and fine else time.perf_counter


@contextmanager
def alone(device: torch.device, threads: int | None = 1) -> Iterator[Callable[[], None]]:
    """Wait for other measurements on this machine, and set the number of threads.

    Args:
        device: Where is measured.
        threads: Threads of a CPU; None for as many as this process has.

    Yields:
        What waits until the device has done all that it was told.
    """
    import torch

    before = torch.get_num_threads()
    with machine_lock("measuring"):
        try:
            if threads is not None and device.type == "cpu":
                torch.set_num_threads(threads)
            yield lambda: _wait(device)
        finally:
            torch.set_num_threads(before)


def _wait(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
