"""Hill climbing: where it stands, and that it climbs."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import optuna
import pytest

from optuna_nas.samplers import LocalSearchSampler, Observation
from optuna_nas.spaces import Architecture, NASBench201Space

SPACE = NASBench201Space()
START = datetime(2026, 1, 1)


def observed(
    number: int, cell: Architecture, value: float, *, pruned: bool = False
) -> Observation:
    return Observation(number, cell, (value,), pruned, START + timedelta(seconds=number))


def distinct_neighbors(cell: Architecture) -> list[Architecture]:
    found = {n.key: n for n in SPACE.neighbors(cell) if n.key != cell.key}
    return list(found.values())


@pytest.fixture
def cells() -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SPACE.random(rng) for _ in range(5)]


def test_there_is_no_current_one_before_the_start_is_complete(cells: list[Architecture]) -> None:
    sampler = LocalSearchSampler(n_startup_trials=3)
    start = [observed(i, cell, 1.0 + i) for i, cell in enumerate(cells[:2])]
    assert sampler.current(start) is None


def test_the_best_of_the_start_is_current_and_the_first_better_one_replaces_it(
    cells: list[Architecture],
) -> None:
    sampler = LocalSearchSampler(n_startup_trials=3)
    trials = [
        observed(i, cell, value)
        for i, (cell, value) in enumerate(zip(cells, [3, 1, 2], strict=False))
    ]
    assert sampler.current(trials) is trials[1]
    neighbors = distinct_neighbors(cells[1])
    trials.append(observed(3, neighbors[0], 1.5))
    assert sampler.current(trials) is trials[1]
    trials.append(observed(4, neighbors[1], 0.5))
    assert sampler.current(trials) is trials[4]


@pytest.mark.parametrize("pruned", [False, True])
def test_it_starts_again_when_no_neighbour_was_better(
    cells: list[Architecture], pruned: bool
) -> None:
    sampler = LocalSearchSampler(n_startup_trials=1)
    trials = [observed(0, cells[0], 1.0)]
    for neighbor in distinct_neighbors(cells[0]):
        assert sampler.current(trials) is trials[0]
        # Pruned trials count as looked at, even if their estimate is good.
        value = 0.0 if pruned else 2.0
        trials.append(observed(len(trials), neighbor, value, pruned=pruned))
    assert sampler.current(trials) is None
    trials.append(observed(len(trials), cells[1], 9.0))
    assert sampler.current(trials) is trials[-1]


def test_order_is_by_completion(cells: list[Architecture]) -> None:
    first, second = cells[:2]
    early = Observation(1, first, (1.0,), False, START)
    late = Observation(0, second, (2.0,), False, START + timedelta(seconds=1))
    assert LocalSearchSampler(n_startup_trials=1).current([late, early]) is early


def test_after_the_start_it_evaluates_neighbours_of_the_best_only() -> None:
    weights = dict(zip(SPACE.operations, (0.0, 1.0, 2.0, 4.0, 0.5), strict=True))

    def objective(trial: optuna.Trial) -> float:
        return sum(weights[operation] for operation in SPACE.suggest(trial).params.values())

    sampler = LocalSearchSampler(n_startup_trials=5, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=60)
    trials = [(SPACE.architecture(t.params), t.value or 0.0) for t in study.trials]
    best = max(trials[:5], key=lambda pair: pair[1])
    for cell, value in trials[5:]:
        assert cell in SPACE.neighbors(best[0])
        if value > best[1]:
            best = cell, value
        if value == 24.0:
            break
    assert best[1] == 24.0  # an additive objective has no other local optimum


def test_the_same_climb_goes_on_in_a_new_sampler() -> None:
    def objective(trial: optuna.Trial) -> float:
        return len(set(str(SPACE.suggest(trial)).split("|"))) + trial.number / 1000

    def keys(restart_at: int) -> list[str]:
        study = optuna.create_study(direction="maximize", sampler=LocalSearchSampler(seed=3))
        study.optimize(objective, n_trials=restart_at)
        study.sampler = LocalSearchSampler(seed=3)
        study.optimize(objective, n_trials=40 - restart_at)
        return [SPACE.architecture(t.params).key for t in study.trials]

    for one, other in pairwise([keys(7), keys(23), keys(39)]):
        assert one == other
    assert len(set(keys(7))) == 40


def test_a_wrong_number_is_refused() -> None:
    with pytest.raises(ValueError, match="`n_startup_trials` is 0; allowed is an integer of 1"):
        LocalSearchSampler(n_startup_trials=0)
