"""Q-learning: schedules, shares of rewards, the table, and that it finds the best walk."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_nas._proposals import notes_of
from optuna_nas.samplers import EpsilonSchedule, QLearningSampler
from optuna_nas.samplers.q_learning import QTable, terminal_shaping, uniform_shaping
from optuna_nas.spaces import NASBench201Space

SPACE = NASBench201Space()


def table(sizes: list[int], **options: Any) -> QTable:
    settings: dict[str, Any] = {"initial": 0.5, "shaping": uniform_shaping}
    return QTable(sizes, **(settings | {"learning_rate": 0.5, "discount": 1.0} | options))


def test_the_published_schedule_of_block_qnn() -> None:
    """95, 7, 7, 7, 10, 10, 10, 10, 10, 12 iterations of 64 blocks: 178, and 11,392 blocks."""
    schedule = EpsilonSchedule.block_qnn()
    assert schedule.lengths == tuple(64 * n for n in (95, 7, 7, 7, 10, 10, 10, 10, 10, 12))
    assert sum(schedule.lengths) == 178 * 64 == 11_392
    found = [schedule(n) for n in range(11_392)]
    assert [found.count(e / 10) for e in range(10, 0, -1)] == list(schedule.lengths)
    assert all(one >= other for one, other in pairwise(found))
    assert schedule(11_392) == schedule(10**6) == 0.1


def test_the_published_schedule_of_meta_qnn() -> None:
    schedule = EpsilonSchedule.meta_qnn()
    assert sum(schedule.lengths) == 2_700
    assert [schedule(n) for n in (0, 1_499, 1_500, 1_799, 1_800, 2_699)] == [
        *(1.0, 1.0, 0.9, 0.7, 0.6, 0.1),
    ]


@pytest.mark.parametrize("n_trials", [1, 10, 200, 1_000])
def test_a_shorter_schedule_is_as_long_as_is_asked(n_trials: int) -> None:
    schedule = EpsilonSchedule.block_qnn(n_trials)
    assert sum(schedule.lengths) == n_trials
    assert abs(schedule.lengths[0] - n_trials * 95 / 178) <= 1
    assert schedule(n_trials) == 0.1


@pytest.mark.parametrize("shaping", [uniform_shaping, terminal_shaping])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_shares_sum_to_the_reward(shaping: Any, steps: int) -> None:
    assert shaping(steps).sum() == pytest.approx(1)
    found = table([3] * 4, shaping=shaping).shares(np.array([2, -1, 0, -1]))
    assert found.sum() == pytest.approx(1)
    assert (found[[1, 3]] == 0).all()


def test_a_walk_is_worth_its_reward_in_the_end() -> None:
    """Q of the first step is the whole reward, of the last one its own share."""
    q = table([2, 2, 2])
    walk = np.array([[1, 0, 1]])
    for _ in range(60):
        q.update(walk, 0.9 * q.shares(walk[0])[None])
    assert q.values[0][-1, 1] == pytest.approx(0.9)
    assert q.values[1][1, 0] == pytest.approx(0.6)
    assert q.values[2][0, 1] == pytest.approx(0.3)
    # What was not walked is worth what is left of the initial value there.
    assert q.values[0][-1, 0] == 0.5
    assert q.values[1][1, 1] == pytest.approx(0.5 * 2 / 3)
    assert q.values[2][1, 0] == pytest.approx(0.5 / 3)


def test_one_update_by_hand() -> None:
    """All for the last step; backwards, so the first step sees the new value of the second."""
    q = table([2, 2], shaping=terminal_shaping, learning_rate=0.1)
    walk = np.array([[0, 1]])
    q.update(walk, 1.0 * q.shares(walk[0])[None])
    assert q.values[1][0, 1] == pytest.approx(0.9 * 0.5 + 0.1 * 1.0)
    assert q.values[0][-1, 0] == pytest.approx(0.9 * 0.5 + 0.1 * 0.55)


def test_the_same_walk_several_times_is_one_after_the_other() -> None:
    together, apart = table([2, 3], learning_rate=0.2), table([2, 3], learning_rate=0.2)
    walk = np.array([1, 2])
    rewards = 0.7 * together.shares(walk)
    together.update(np.stack([walk] * 3), np.stack([rewards] * 3))
    for _ in range(3):
        apart.values[1][1, 2] += 0.2 * (rewards[1] - apart.values[1][1, 2])
    assert together.values[1][1, 2] == pytest.approx(apart.values[1][1, 2])


def test_the_discount_makes_later_steps_count_less() -> None:
    q = table([2, 2], shaping=terminal_shaping, discount=0.5)
    walk = np.array([[0, 0]])
    for _ in range(60):
        q.update(walk, q.shares(walk[0])[None])
    assert q.values[0][-1, 0] == pytest.approx(0.5)


def test_an_absent_step_is_passed_over() -> None:
    q = table([2, 2, 2])
    walk = np.array([[1, -1, 0]])
    before = q.values[1].copy()
    for _ in range(60):
        q.update(walk, q.shares(walk[0])[None])
    np.testing.assert_array_equal(q.values[1], before)
    assert q.values[0][-1, 1] == pytest.approx(1.0)
    assert q.values[2][-1, 0] == pytest.approx(0.5)  # after no choice


def test_epsilon_falls_with_finished_trials_and_is_noted() -> None:
    sampler = QLearningSampler(epsilon=lambda finished: max(0.0, 1 - finished / 10), seed=0)
    study = optuna.create_study(sampler=sampler)
    first, second = study.ask(), study.ask()
    for trial in (first, second):
        SPACE.suggest(trial)
    assert [notes_of(t)["epsilon"] for t in study.trials] == [1.0, 1.0]
    for trial in (first, second):
        study.tell(trial, 0.5)
    SPACE.suggest(study.ask())
    assert notes_of(study.trials[2])["epsilon"] == 0.8


def test_it_learns_an_additive_objective() -> None:
    """A random cell has 1.2 convolutions on average."""

    def objective(trial: optuna.Trial) -> float:
        return float(list(SPACE.suggest(trial).params.values()).count("nor_conv_3x3"))

    late = []
    for seed in range(3):
        sampler = QLearningSampler(n_exploration_trials=50, seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(objective, n_trials=80)
        late += [trial.values[0] for trial in study.trials[-20:]]
    assert np.mean(late) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_exploration_trials": 0}, "`n_exploration_trials` is 0"),
        ({"learning_rate": 0.0 - 1}, "`learning_rate` is -1"),
        ({"learning_rate": 1.5}, "`learning_rate` is 1.5"),
        ({"discount": 2}, "`discount` is 2"),
        ({"replays": 0}, "`replays` is 0"),
        ({"num_bins": 1}, "`num_bins` is 1"),
        ({"initial": float("nan")}, "`initial` is nan"),
        ({"shaping": "even"}, r"`shaping` is 'even'; allowed are \['terminal', 'uniform'\]"),
        ({"reward": "best"}, r"`reward` is 'best'; allowed are \['cubed', 'rank', 'score'\]"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QLearningSampler(**options)


def test_bad_schedules() -> None:
    with pytest.raises(ValueError, match="ten numbers"):
        EpsilonSchedule((1, 2))
    with pytest.raises(ValueError, match="`lengths` is -1"):
        EpsilonSchedule((-1,) * 10)
