"""A study is deleted and made again: databases give its numbers to the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import CellSpace, NASBench201Space, SearchSpace, recall_space
from optuna_nas.storages import open_storage

Make = Callable[..., ArchitectureSampler]
STORAGES: dict[str, Callable[[Path], BaseStorage]] = {
    "sqlite": lambda folder: open_storage(f"sqlite:///{folder / 'study.db'}"),
    "journal": lambda folder: JournalStorage(JournalFileBackend(str(folder / "study.log"))),
}
SPACE = NASBench201Space()


def objective(space: SearchSpace) -> Callable[[optuna.Trial], float]:
    return lambda trial: float(str(space.suggest(trial)).count("nor_conv_3x3"))


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    return STORAGES[request.param](tmp_path)


def test_the_next_study_may_search_another_space(storage: BaseStorage) -> None:
    spaces = [SPACE, CellSpace(3, ["none", "a"]), CellSpace(4, ["none", "a"])]
    for space in spaces:
        study = optuna.create_study(study_name="s", storage=storage)
        assert recall_space(study) is None
        study.optimize(objective(space), n_trials=1)
        assert recall_space(study) == space
        optuna.delete_study(study_name="s", storage=storage)


@pytest.mark.parametrize("trials", [12, 9, 14])
def test_a_sampler_knows_nothing_of_the_deleted_study(
    make: Make, storage: BaseStorage, trials: int
) -> None:
    """Nor of its direction, and whether the next one has more trials or fewer."""
    used = make(seed=1)
    directions: list[Literal["maximize", "minimize"]] = ["maximize", "minimize"]
    for direction, number in zip(directions, (12, trials), strict=True):
        study = optuna.create_study(
            study_name="s", storage=storage, direction=direction, sampler=used
        )
        study.optimize(objective(SPACE), n_trials=number)
        fresh = optuna.create_study(direction=direction, sampler=make(seed=1))
        fresh.optimize(objective(SPACE), n_trials=number)
        assert [t.params for t in study.trials] == [t.params for t in fresh.trials]
        optuna.delete_study(study_name="s", storage=storage)


def test_nor_where_the_new_study_begins_with_trials_of_the_old_one(
    make: Make, storage: BaseStorage
) -> None:
    used, found = make(seed=1), []
    study = optuna.create_study(study_name="s", storage=storage, sampler=used)
    study.optimize(objective(SPACE), n_trials=12)
    old = study.trials[:6]
    optuna.delete_study(study_name="s", storage=storage)
    for sampler, place in ((used, storage), (make(seed=1), None)):
        study = optuna.create_study(study_name="s", storage=place, sampler=sampler)
        study.add_trials(old)
        study.optimize(lambda t: -objective(SPACE)(t), n_trials=8)
        found.append([t.params for t in study.trials])
    assert found[0] == found[1]
