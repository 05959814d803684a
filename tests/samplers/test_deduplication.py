"""No function is evaluated twice, whoever evaluates it, whatever becomes of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._proposals import PROPOSAL_ATTRIBUTE
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import Architecture, CellSpace, FlatSpace, SearchSpace

Make = Callable[..., ArchitectureSampler]
Finished = Callable[..., FrozenTrial]
Propose = Callable[..., dict[str, Any]]
Error = Callable[[Architecture], float]

SPACE = CellSpace(3, ("none", "skip_connect", "a"))
CELLS = {
    cell.key: cell
    for cell in (
        SPACE.architecture(dict(zip(SPACE.distributions, operations, strict=True)))
        for operations in product(SPACE.operations, repeat=3)
    )
}
KEYS = sorted(CELLS)
LEFT = KEYS[-2:]


def key_of(params: dict[str, Any]) -> str:
    return SPACE.architecture(params).key


@pytest.fixture
def study(finished: Finished) -> optuna.Study:
    """A study that has evaluated everything but two functions."""
    study = optuna.create_study()
    for number, key in enumerate(KEYS[:-2]):
        study.add_trial(finished(CELLS[key], float(number)))
    return study


def test_the_tiny_space() -> None:
    """The direct edge is nothing, the identity or a; the way round may be a after a, too.

    The order of the two does not matter, so 3 x 4 sums are 9 functions.
    """
    assert len(CELLS) == 9
    assert SPACE.size == 27


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED])
def test_finished_functions_are_not_repeated(
    make: Make, study: optuna.Study, finished: Finished, propose: Propose, seed: int, state: Any
) -> None:
    study.add_trial(finished(CELLS[LEFT[0]], 1.0, state))
    assert key_of(propose(make(SPACE, seed=seed), study, SPACE)) == LEFT[1]


@pytest.mark.parametrize("seed", range(4))
def test_running_functions_are_not_repeated(
    make: Make, study: optuna.Study, finished: Finished, propose: Propose, seed: int
) -> None:
    study.add_trial(finished(CELLS[LEFT[1]], state=TrialState.RUNNING))
    assert key_of(propose(make(SPACE, seed=seed), study, SPACE)) == LEFT[0]


def test_proposed_functions_are_not_repeated(
    make: Make, study: optuna.Study, propose: Propose
) -> None:
    """A running trial that has suggested nothing yet, but whose sampler has published."""
    first, second = (key_of(propose(make(SPACE, seed=s), study, SPACE)) for s in (1, 2))
    assert {first, second} == set(LEFT)
    texts = [trial.system_attrs.get(PROPOSAL_ATTRIBUTE) for trial in study.trials[-2:]]
    assert [SPACE.parse(text).key for text in texts if text] == [first, second]


@pytest.mark.parametrize("seed", range(4))
def test_enqueued_functions_are_not_repeated(
    make: Make, study: optuna.Study, propose: Propose, seed: int
) -> None:
    study.enqueue_trial(CELLS[LEFT[0]].params)
    assert study.trials[-1].state == TrialState.WAITING
    assert key_of(propose(make(SPACE, seed=seed), study, SPACE)) == LEFT[1]


def test_failed_functions_may_be_repeated(
    make: Make, study: optuna.Study, finished: Finished, propose: Propose
) -> None:
    study.add_trial(finished(CELLS[LEFT[0]], state=TrialState.FAIL))
    proposed = {key_of(propose(make(SPACE, seed=s), study, SPACE)) for s in (1, 2)}
    assert proposed == set(LEFT)


def test_half_written_proposals_are_ignored(
    make: Make, study: optuna.Study, propose: Propose
) -> None:
    for text in ("", "|a~0|+|a~", "Genotype()", "{}"):
        trial = study.ask()
        study._storage.set_trial_system_attr(trial._trial_id, PROPOSAL_ATTRIBUTE, text)
    assert key_of(propose(make(SPACE), study, SPACE)) in LEFT


class RivalStorage(InMemoryStorage):
    """A storage in which another worker proposes the same right after the first proposal."""

    def __init__(self) -> None:
        super().__init__()
        self.rival: int | None = None
        self.published: list[str] = []

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_system_attr(trial_id, key, value)
        if key == PROPOSAL_ATTRIBUTE:
            if not self.published and self.rival is not None:
                super().set_trial_system_attr(self.rival, key, value)
            self.published.append(value)


def test_a_rival_between_writing_and_reading_is_seen(
    make: Make,
    space: SearchSpace,
    finished: Finished,
    propose: Propose,
    rng: np.random.Generator,
) -> None:
    for trials in (0, 5):
        storage = RivalStorage()
        study = optuna.create_study(storage=storage)
        for _ in range(trials):
            study.add_trial(finished(space.random(rng)))
        storage.rival = study._storage.create_new_trial(study._study_id)
        proposed = space.architecture(propose(make(space), study, space))
        first, second = map(space.parse, storage.published)
        assert first.key != second.key
        assert proposed == second
        # What is published in the end is what is evaluated.
        last = study.trials[-1].system_attrs[PROPOSAL_ATTRIBUTE]
        assert space.parse(last) == proposed


def test_what_is_known_to_be_taken_is_not_even_published(
    make: Make, study: optuna.Study, propose: Propose
) -> None:
    """Every publication is a transaction."""
    storage = RivalStorage()
    busy = optuna.create_study(storage=storage)
    busy.add_trials(study.trials)
    proposed = propose(make(SPACE), busy, SPACE)
    assert [SPACE.parse(text).params for text in storage.published] == [proposed]


def test_an_exhausted_space_goes_on_with_repeats(make: Make, error: Error) -> None:
    study = optuna.create_study(sampler=make())
    study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=14)
    found = [key_of(trial.params) for trial in study.trials]
    assert sorted(found[:9]) == KEYS
    assert set(found[9:]) <= set(KEYS)
    smallest = CellSpace(2, ("none", "skip_connect", "a"))
    study = optuna.create_study(sampler=make())
    study.optimize(lambda trial: error(smallest.suggest(trial)), n_trials=9)
    assert len({trial.params["edge_0_1"] for trial in study.trials[:3]}) == 3
    assert len(study.trials) == 9


def test_deduplication_can_be_switched_off(make: Make, error: Error) -> None:
    study = optuna.create_study(sampler=make(deduplicate=False))
    study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=25)
    found = [key_of(trial.params) for trial in study.trials]
    assert len(set(found[:9])) < 9
    best = min(study.trials[:20], key=lambda trial: trial.value or 0)  # known for some time
    assert found.count(key_of(best.params)) > 25 / 9  # a good cell is worth another look
    assert len(set(found[5:])) > 1


def test_a_full_enqueued_trial_is_run_as_it_is(make: Make, error: Error) -> None:
    wanted = CELLS[KEYS[3]]
    study = optuna.create_study(sampler=make())
    study.enqueue_trial(wanted.params)
    study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=9)
    assert study.trials[0].params == wanted.params
    assert sorted(key_of(trial.params) for trial in study.trials) == KEYS


def test_a_partial_enqueued_trial_is_completed(
    make: Make, space: SearchSpace, error: Error
) -> None:
    study = optuna.create_study(sampler=make())
    study.optimize(lambda trial: error(space.suggest(trial)), n_trials=6)
    pins = [{"edge_0_1": "none"}, {"edge_0_3": "skip_connect", "edge_2_3": "none"}]
    for pinned in pins:
        study.enqueue_trial(pinned)
    study.optimize(lambda trial: error(space.suggest(trial)), n_trials=8)
    for trial, pinned in zip(study.trials[6:8], pins, strict=True):
        assert trial.params.items() >= pinned.items()
        assert PROPOSAL_ATTRIBUTE in trial.system_attrs
        published = space.parse(trial.system_attrs[PROPOSAL_ATTRIBUTE])
        assert published == space.architecture(trial.params)
    found = [space.architecture(trial.params).key for trial in study.trials]
    assert len(set(found)) == 14


def test_pending_settings_of_a_flat_study_are_not_repeated(
    make: Make, finished: Finished, propose: Propose
) -> None:
    """Conditional parameters included: a proposal that lacks some can be read by others."""
    space = FlatSpace(
        {
            "kind": optuna.distributions.CategoricalDistribution(("x", "y")),
            "more": optuna.distributions.IntDistribution(0, 1),
        }
    )
    part = space.read({"kind": "x"})
    assert part is not None
    study = optuna.create_study()
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, PROPOSAL_ATTRIBUTE, str(part))
    sampler = make(space)
    history = sampler._view(study).reader(space).read(study, study.trials, except_number=-1)
    assert history.taken == {part.key}


def test_nothing_is_warned_about(make: Make, error: Error) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = optuna.create_study(sampler=make())
        study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=12)
