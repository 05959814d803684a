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
    ("workers", "interval", "batch"),
    [
        (2, 60.0, 2),  # long trainings: the smallest
        (2, 0.25, 2),
        (2, 0.1, 5),  # a fifth of a tenth of a second for each trial
        (2, 0.05, 10),
        (2, 0.03, 16),
        (4, 0.05, 10),
        (6, 0.05, 4),
        (8, 0.05, 3),
        (8, 0.01, 13),
        (80, 0.01, 13),  # one of them ranks, and has to keep up
        (8, 0.0, 16),
    ],
)
def test_ranking_takes_little_of_the_workers_time(
    workers: int, interval: float, batch: int
) -> None:
    assert paced(interval, 0.1, workers).batch(2, 16, workers) == batch


def test_rankings_and_trials_that_take_no_time() -> None:
    assert paced(0.0, 0.0, workers=8).batch(2, 16, 8) == 16


def test_the_largest_batch_as_long_as_nothing_is_known() -> None:
    pace = Pace(Clock())
    assert pace.batch(2, 16, 2) == 16
    pace.begin(7)
    assert pace.batch(2, 16, 2) == 16


def test_a_worker_that_has_not_ranked_takes_it_for_fast() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin(0)
    clock.now += 80.0
    pace.begin(8)
    assert pace.batch(2, 16, 2) == 2


def test_it_follows_a_change_of_pace() -> None:
    clock = Clock()
    pace = Pace(clock)
    for number in range(20):
        pace.begin(number)
        clock.now += 10.0
    assert pace.batch(2, 16, 2) == 2
    for number in range(20, 60):
        pace.begin(number)
        clock.now += 0.001
    assert pace.batch(2, 16, 2) == 16


def test_the_same_trial_twice_tells_nothing() -> None:
    pace = paced(60.0, 0.1, workers=1)
    pace.begin(39)
    assert pace.batch(2, 16, 2) == 2
