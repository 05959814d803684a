"""Who else is at work: a trial that was left behind is nobody."""

from __future__ import annotations

import time
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_nas.samplers import BananasSampler
from optuna_nas.samplers._company import Company
from optuna_nas.samplers._rankings import CLAIM_ATTRIBUTE, RANKING_ATTRIBUTE
from optuna_nas.spaces import CellSpace

SPACE = CellSpace(3, ("skip_connect", "a", "b", "c", "d"))


def trial(number: int, state: TrialState = TrialState.RUNNING, **attributes: Any) -> FrozenTrial:
    found = create_trial(
        state=state,
        value=1.0 if state == TrialState.COMPLETE else None,
        system_attrs=attributes,
    )
    found.number = number
    return found


def test_what_never_changes_is_no_company() -> None:
    company = Company()
    assert [company.look([trial(0), trial(1)]) for _ in range(3)] == [0, 0, 0]
    # Nor is what was found and set FAIL by somebody else, or what is new and silent.
    looks = [company.look([trial(0, TrialState.FAIL), trial(1), trial(2)]) for _ in range(30)]
    assert looks == [0] * 30


def test_what_changes_or_ends_is_company() -> None:
    company = Company()
    company.look([trial(0), trial(1)])
    assert company.look([trial(0, x=1), trial(1)]) == 1  # 1 was there, and is silent
    company = Company()
    company.look([trial(0), trial(1)])
    assert company.look([trial(0, TrialState.COMPLETE), trial(1), trial(2)]) == 1  # 2 is new
    assert company.look([trial(0, TrialState.COMPLETE), trial(1, x=1), trial(2)]) == 2


def test_who_dies_is_company_no_longer() -> None:
    company = Company()
    company.look([trial(0)])
    looks = [company.look([trial(0, x=1)]) for _ in range(15)]
    assert looks[0] == 1 and looks[-1] == 0
    assert sorted(looks, reverse=True) == looks
    assert company.look([trial(0, x=1, y=1)]) == 1  # it was only slow


@pytest.mark.parametrize("when", ["before", "meanwhile", "interrupted", "asked"])
def test_alone_the_clock_does_not_matter(when: str) -> None:
    """A trial left behind, before the search or in it, or by the process itself."""

    def search(seconds: float) -> tuple[list[str], set[str]]:
        sampler = BananasSampler(seed=0, n_startup_trials=4)
        study = optuna.create_study(sampler=sampler)
        if when == "before":
            study.add_trial(create_trial(state=TrialState.RUNNING))

        def objective(running: optuna.Trial) -> float:
            cell = SPACE.suggest(running)
            time.sleep(seconds)
            if running.number == 6 and when == "meanwhile":
                study.add_trial(create_trial(state=TrialState.RUNNING))
            if running.number == 6 and when == "asked":
                SPACE.suggest(study.ask())
            if running.number == 6 and when == "interrupted":
                raise KeyboardInterrupt
            return float(str(cell).count("a") + running.number % 3)

        try:
            study.optimize(objective, n_trials=16)
        except KeyboardInterrupt:
            study.optimize(objective, n_trials=9)
        found = [str(SPACE.read(t.params)) for t in study.trials if t.params]
        return found, set(study._storage.get_study_system_attrs(study._study_id))

    slow, fast = search(0.02), search(0.0)
    assert slow == fast
    assert not slow[1] & {RANKING_ATTRIBUTE, CLAIM_ATTRIBUTE}
