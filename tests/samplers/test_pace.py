from __future__ import annotations

import pytest

from optuna_nas.samplers._pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(interval: float, seconds: float, workers: int) -> Pace:
    """A worker of several that begin a trial every `interval` seconds together."""
    clock = Clock()
    pace = Pace(clock)
    for round_ in range(40):
        pace.begin(round_ * workers)
        with pace.ranking():
            clock.now += seconds
        clock.now += interval * workers
    return pace


@pytest.mark.parametrize(
    ("interval", "seconds", "batch"),
    [
        (60.0, 0.1, 2),  # long trainings: the smallest
        (0.25, 0.1, 2),
        (0.1, 0.1, 5),  # a fifth of a tenth of a second for each trial
        (0.05, 0.1, 10),
        (0.03, 0.1, 16),
        (0.0, 0.1, 16),
        (0.0, 0.0, 16),
    ],
)
def test_ranking_takes_a_fifth_of_the_time_at_most(
    interval: float, seconds: float, batch: int
) -> None:
    assert paced(interval, seconds, workers=8).batch(2, 16) == batch
    assert paced(interval, seconds, workers=1).batch(2, 16) == batch


def test_the_largest_batch_as_long_as_nothing_is_known() -> None:
    pace = Pace(Clock())
    assert pace.batch(2, 16) == 16
    pace.begin(7)
    assert pace.batch(2, 16) == 16


def test_a_worker_that_has_not_ranked_takes_it_for_fast() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin(0)
    clock.now += 80.0
    pace.begin(8)
    assert pace.batch(2, 16) == 2


def test_it_follows_a_change_of_pace() -> None:
    clock = Clock()
    pace = Pace(clock)
    for number in range(20):
        pace.begin(number)
        clock.now += 10.0
    assert pace.batch(2, 16) == 2
    for number in range(20, 60):
        pace.begin(number)
        clock.now += 0.001
    assert pace.batch(2, 16) == 16


def test_the_same_trial_twice_tells_nothing() -> None:
    pace = paced(60.0, 0.1, workers=1)
    pace.begin(39)
    assert pace.batch(2, 16) == 2
