"""Times of calls, on a machine whose clock and load are made up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from optuna_nas.measures import time_in_turns
from optuna_nas.measures.latency import latency, time_networks
from optuna_nas.measures.timing import Timing, clock_for


class Machine:
    """A machine with a clock, on which everything takes as many times as long as it is loaded.

    Args:
        load: The load at a moment, in seconds.
    """

    def __init__(self, load: Callable[[float], float]) -> None:
        self.now = 0.0
        self.called: list[str] = []
        self._load = load

    def clock(self) -> float:
        return self.now

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.called.append(name)
            self.now += seconds * self._load(self.now)

        return run


def jump(now: float) -> float:
    """Another program begins, and takes nine tenths of the machine."""
    return 10.0 if now > 1.0 else 1.0


def slower(now: float) -> float:
    """The machine becomes slower and slower, as one that is hot does."""
    return 1.0 + now


@pytest.mark.parametrize("load", [jump, slower])
def test_calls_in_turns_meet_the_same_machine(load: Callable[[float], float]) -> None:
    machine = Machine(load)
    calls = [machine.call("half", 0.02), machine.call("whole", 0.04)]
    half, whole = time_in_turns(calls, clock=machine.clock)
    assert whole.times_as_long(half) == pytest.approx(2, rel=0.05)
    assert half.times_as_long(whole) == pytest.approx(1 / 2, rel=0.05)


def test_one_after_the_other_would_not() -> None:
    """The same machine, measured as it was once: the whole, and then the half."""
    machine = Machine(slower)
    [whole] = time_in_turns([machine.call("whole", 0.04)], clock=machine.clock)
    [half] = time_in_turns([machine.call("half", 0.02)], clock=machine.clock)
    assert not 1.7 < whole.median / half.median < 2.3


def test_each_round_has_every_call_once_in_alternating_order() -> None:
    machine = Machine(lambda now: 1.0)
    timings = time_in_turns([machine.call(n, 0.1) for n in "abc"], clock=machine.clock)
    assert machine.called[:9] == list("aaabbbccc")  # not timed
    timed = machine.called[9:]
    assert timed[:12] == list("abccbaabccba")
    assert len(timed) == 3 * len(timings[0].seconds)
    assert [len(timing.seconds) for timing in timings] == [15] * 3


@pytest.mark.parametrize(("seconds", "rounds"), [(10.0, 15), (0.01, 50), (1e-4, 201)])
def test_fast_calls_are_timed_more_often(seconds: float, rounds: int) -> None:
    machine = Machine(lambda now: 1.0)
    [timing] = time_in_turns([machine.call("it", seconds)], clock=machine.clock)
    assert len(timing.seconds) == pytest.approx(rounds, abs=1)
    assert timing.median == pytest.approx(seconds)
    assert timing.spread == pytest.approx(0, abs=1e-9)


def test_the_machine_is_waited_for_before_the_clock_is_read() -> None:
    """A device that returns at once, and computes while it is waited for."""
    machine, pending = Machine(lambda now: 1.0), [0.0]

    def start() -> None:
        pending[0] += 0.25

    def wait() -> None:
        machine.now += pending.pop()
        pending.append(0.0)

    [timing] = time_in_turns([start], wait, clock=machine.clock)
    assert timing.median == pytest.approx(0.25)
    assert max(timing.seconds) == pytest.approx(0.25)  # warming up is none of the first


def test_median_and_quartiles() -> None:
    timing = Timing((1.0, 2.0, 3.0, 4.0, 100.0))
    assert (timing.median, timing.spread) == (3.0, 1.0)
    assert timing.times_as_long(Timing((0.5, 1.0, 1.5, 2.0, 1000.0))) == 2.0


def test_a_larger_network_takes_longer() -> None:
    image = torch.zeros(1, 16, 16, 16)
    layers = [nn.Conv2d(16, 16, 3, padding=1).eval() for _ in range(12)]
    one, all_of_them = time_networks([layers[0], nn.Sequential(*layers)], image)
    assert all_of_them.times_as_long(one) > 4


def test_which_clock() -> None:
    """The time of the only thread that computes, which other programs do not lengthen."""
    import time

    gpu = torch.device("cuda", 0)
    assert clock_for(gpu, 1) is time.perf_counter
    assert clock_for(torch.device("cpu"), 4) is time.perf_counter
    assert clock_for(torch.device("cpu"), None) is time.perf_counter
    if np.isclose(time.get_clock_info("thread_time").resolution, 0, atol=1e-6):
        assert clock_for(torch.device("cpu"), 1) is time.thread_time


def test_threads() -> None:
    seen = []

    class Look(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return x

    before = torch.get_num_threads()
    for threads, expected in ((1, 1), (2, 2), (None, before)):
        seen.clear()
        latency(threads)(Look(), torch.zeros(1))
        assert set(seen) == {expected}
        assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match=r"^`threads` is 0; allowed is an integer of 1 or more"):
        latency(0)
