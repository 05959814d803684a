from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial

from optuna_nas.samplers import BananasSampler
from optuna_nas.samplers._pace import Pace
from optuna_nas.samplers._rankings import (
    CLAIM_ATTRIBUTE,
    RANKING_ATTRIBUTE,
    Batch,
    Ranking,
    RankingBoard,
)
from optuna_nas.spaces import FlatSpace, NASBench201Space
from optuna_nas.surrogates import Acquisition

SPACE = NASBench201Space()
CELLS = [SPACE.random(np.random.default_rng([7, number])) for number in range(60)]


pytestmark = pytest.mark.usefixtures("lively")


@pytest.fixture
def study(finished: Callable[..., FrozenTrial]) -> optuna.Study:
    """A study with six finished trials, and one that another worker runs."""
    found = optuna.create_study()
    for number, cell in enumerate(CELLS[-6:]):
        found.add_trial(finished(cell, float(number)))
    found.ask()
    return found


class Counting(BananasSampler):
    """Counts how often it ranks, and ranks cells as they are listed."""

    def __init__(self, n_startup_trials: int = 3) -> None:
        super().__init__(SPACE, n_startup_trials=n_startup_trials, seed=0)
        self.ranked: list[int] = []

    def _rank(self, request: Any, history: Any, start: int, **options: Any) -> list[Any]:
        self.ranked.append(start)
        return list(CELLS[:20])


def proposed(sampler: BananasSampler, study: optuna.Study) -> Any:
    study.sampler = sampler
    return SPACE.suggest(study.ask())


def test_what_is_published_is_read(study: optuna.Study) -> None:
    board = RankingBoard(study, SPACE)
    assert board.read() == (None, None)
    board.claim(Batch(7, 4))
    board.publish(Ranking(Batch(7, 4), CELLS))
    ranking, claim = board.read()
    assert ranking is not None and ranking.batch == claim == Batch(7, 4)
    assert list(ranking.architectures) == CELLS[:12]  # three for each trial
    assert board.read(ranking)[0] is ranking  # not parsed again
    assert RankingBoard(study, FlatSpace(SPACE.distributions)).read()[0] is None


def test_a_published_ranking_is_short() -> None:
    flat = FlatSpace(
        {f"a long name {n}": optuna.distributions.FloatDistribution(0, 1) for n in range(99)}
    )
    study = optuna.create_study()
    rng = np.random.default_rng(0)
    RankingBoard(study, flat).publish(Ranking(Batch(0, 20), [flat.random(rng) for _ in range(60)]))
    texts = study._storage.get_study_system_attrs(study._study_id)[RANKING_ATTRIBUTE][
        "architectures"
    ]
    assert 1 <= len(texts) < 60 and sum(map(len, texts)) <= 20_000


@pytest.mark.parametrize(
    "stored",
    [
        "text",
        {"start": "7", "size": 4, "architectures": []},
        {"start": 0, "size": 99, "architectures": ["no cell"]},
        {"start": 0, "size": 99, "architectures": [["a"]]},
        {"start": 0, "size": 99, "architectures": None},
        {"start": 0, "size": 99, "architectures": []},
    ],
)
def test_what_is_no_ranking_is_replaced(study: optuna.Study, stored: Any) -> None:
    study._storage.set_study_system_attr(study._study_id, RANKING_ATTRIBUTE, stored)
    sampler = Counting()
    assert proposed(sampler, study) == CELLS[0] and sampler.ranked == [7]
    assert RankingBoard(study, SPACE).read()[0] is not None


def test_in_a_hurry_a_batch_is_large_and_who_ranked_last_ranks_again(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_nas.samplers.bananas._LARGEST_BATCH", 4)
    first, second = Counting(), Counting()
    for sampler in (first, second):
        sampler._pace = Pace(lambda: 0.0)
    found = [proposed(first, study), proposed(second, study)]
    for sampler in (first, second):
        study.tell(study.trials[-2].number, 1.0)
        found.append(proposed(sampler, study))
    assert found == CELLS[:4] and (first.ranked, second.ranked) == ([7], [])
    study.tell(study.trials[-2].number, 1.0)
    assert proposed(second, study) == CELLS[4] and second.ranked == []  # leaves it to the first
    study.tell(study.trials[-2].number, 1.0)
    assert proposed(first, study) == CELLS[5] and first.ranked == [7, 12]


def test_where_trials_take_long_whoever_comes_ranks_the_smallest_batch(
    study: optuna.Study,
) -> None:
    ticks = count(0.0, 60.0)
    first, second = Counting(), Counting()
    for sampler in (first, second):
        sampler._pace = Pace(lambda: next(ticks))
        sampler._pace.begin(1)  # before the study's trials under way
    proposed(first, study), proposed(second, study)
    for sampler in (second, first):
        study.tell(study.trials[-2].number, 1.0)
        proposed(sampler, study)
    assert (first.ranked, second.ranked) == ([7], [9])


def test_nobody_waits_for_who_ranks(study: optuna.Study) -> None:
    board = RankingBoard(study, SPACE)
    board.publish(Ranking(Batch(1, 2), CELLS[:6]))
    board.claim(Batch(6, 4))  # for the trials 6 to 9
    sampler = Counting()
    found = [proposed(sampler, study) for _ in range(3)]  # of the last ranking
    assert len(set(found)) == 3 and set(found) <= set(CELLS[:6])
    assert sampler.ranked == []
    proposed(sampler, study)  # the other one has not ranked, and is dead
    assert sampler.ranked == [10]


def test_a_ranking_that_is_used_up_is_replaced(study: optuna.Study) -> None:
    RankingBoard(study, SPACE).publish(Ranking(Batch(7, 50), CELLS[-6:]))
    sampler = Counting()
    assert proposed(sampler, study) == CELLS[0] and sampler.ranked == [7]


def test_a_single_worker_publishes_nothing(finished: Callable[..., FrozenTrial]) -> None:
    study = optuna.create_study(sampler=Counting())
    study.optimize(lambda trial: float(len(SPACE.suggest(trial).key)), n_trials=9)
    assert not {RANKING_ATTRIBUTE, CLAIM_ATTRIBUTE} & set(
        study._storage.get_study_system_attrs(study._study_id)
    )


def test_pinned_parameters_are_ranked_for_themselves(study: optuna.Study) -> None:
    board = RankingBoard(study, SPACE)
    board.publish(Ranking(Batch(7, 50), CELLS[:20]))
    study.enqueue_trial({"edge_0_1": "none"})
    sampler = Counting()
    cell = proposed(sampler, study)
    assert cell.params["edge_0_1"] == "none" and sampler.ranked == [7]
    assert list(board.read()[0].architectures) == CELLS[:20]  # type: ignore[union-attr]


def test_threads_share_a_ranking() -> None:
    sampler = Counting()
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: float(len(SPACE.suggest(t).key)), n_trials=23, n_jobs=3)
    keys = [SPACE.architecture(trial.params).key for trial in study.trials]
    assert len(set(keys)) == 23 and len(sampler.ranked) < 15


def test_neighbours_begin_at_different_candidates() -> None:
    ranking = Ranking(Batch(10, 4), CELLS[:8])
    fresh = [ranking.for_trial(number, set(), 4) for number in range(10, 18)]
    assert [cells[0] for cells in fresh] == CELLS[:8]
    assert all(set(cells) == set(CELLS[:8]) for cells in fresh)
    taken = {CELLS[rank].key for rank in (0, 1, 2, 5)}
    left = [ranking.for_trial(number, taken, 4) for number in range(10, 14)]
    assert left[3] == [CELLS[3], CELLS[4], CELLS[6], CELLS[7]]  # its own is free
    behind = [ranking.for_trial(number, taken, 4)[0] for number in range(20, 24)]
    assert len(set(behind)) == 4  # each begins at another one
    few = [ranking.for_trial(number, taken, 2)[0] for number in range(20, 24)]
    assert few == [CELLS[3], CELLS[4], CELLS[3], CELLS[4]]  # none further from the best
    assert ranking.for_trial(10, {cell.key for cell in CELLS[:8]}, 4) == []


def test_a_ranking_is_for_trials_that_begin_after_it(study: optuna.Study) -> None:
    """While one worker ranks, others begin: the best candidates are left to those after them."""

    class Slow(Counting):
        def _rank(self, request: Any, history: Any, start: int, **options: Any) -> list[Any]:
            for _ in range(3):
                study.ask()
            study.enqueue_trial({})
            return super()._rank(request, history, start, **options)

    slow, other = Slow(), Counting()
    for sampler in (slow, other):
        sampler._pace = Pace(lambda: 0.0)
    study.sampler = slow
    trial = study.ask()  # of number 7; 8 to 10 are those begun meanwhile
    assert SPACE.suggest(trial) == CELLS[0]
    ranking, _ = RankingBoard(study, SPACE).read()
    assert ranking is not None and ranking.batch.start == 10
    assert proposed(other, study) == CELLS[1] and other.ranked == []  # the enqueued 11


@pytest.mark.parametrize(
    ("running", "done", "ranks"), [(3, 3, True), (4, 2, False), (2, 3, False), (0, 5, False)]
)
def test_the_start_is_over_once_half_of_it_is_finished_and_the_rest_under_way(
    finished: Callable[..., FrozenTrial], running: int, done: int, ranks: bool
) -> None:
    study = optuna.create_study()
    for number, cell in enumerate(CELLS[-done:]):
        study.add_trial(finished(cell, float(number)))
    for _ in range(running):
        study.ask()
    sampler = Counting(n_startup_trials=6)
    proposed(sampler, study)
    assert sampler.ranked == ([done + running] if ranks else [])


@pytest.mark.parametrize(
    ("running", "seconds", "batch_size", "calm"),
    [
        (0, 60.0, None, False),
        (1, 60.0, None, True),
        (1, 0.0, None, False),  # in a hurry
        (1, 60.0, 20, False),
    ],
)
def test_small_batches_of_workers_side_by_side_are_drawn_calmly(
    finished: Callable[..., FrozenTrial],
    monkeypatch: pytest.MonkeyPatch,
    running: int,
    seconds: float,
    batch_size: int | None,
    calm: bool,
) -> None:
    used = set()

    def noted(name: str) -> Acquisition:
        def acquisition(members: np.ndarray, *_: Any) -> np.ndarray:
            used.add(name)
            return np.asarray(members.mean(axis=0))

        return acquisition

    for name in ("its", "calm_its"):
        monkeypatch.setattr(f"optuna_nas.surrogates.acquisition.{name}", noted(name))
    study = optuna.create_study()
    for number, cell in enumerate(CELLS[-6:]):
        study.add_trial(finished(cell, float(number)))
    for _ in range(running):
        study.ask()
    sampler = BananasSampler(SPACE, n_startup_trials=3, batch_size=batch_size, seed=0)
    ticks = count(0.0, seconds)
    sampler._pace = Pace(lambda: next(ticks))
    sampler._pace.begin(1)
    proposed(sampler, study)
    assert used == {"calm_its" if calm else "its"}
