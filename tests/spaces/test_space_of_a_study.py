"""The space of a study: stored by the first trial, found again, and only one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from optuna_nas.spaces import (
    CellSpace,
    DARTSSpace,
    NASBench201Space,
    SearchSpace,
    recall_space,
)
from optuna_nas.spaces.study import SPACE_ATTRIBUTE


class Counting(InMemoryStorage):
    writes = 0

    def set_study_user_attr(self, study_id: int, key: str, value: object) -> None:
        self.writes += 1
        super().set_study_user_attr(study_id, key, value)


STORAGES: dict[str, Callable[[Path], BaseStorage]] = {
    "sqlite": lambda folder: RDBStorage(f"sqlite:///{folder / 'study.db'}"),
    "journal": lambda folder: JournalStorage(JournalFileBackend(str(folder / "study.log"))),
}


def test_the_description_is_stored_once() -> None:
    storage = Counting()
    study = optuna.create_study(storage=storage)
    assert recall_space(study) is None
    study.optimize(lambda trial: len(str(NASBench201Space().suggest(trial))), n_trials=3)
    assert study.user_attrs == {SPACE_ATTRIBUTE: {"space": "NASBench201Space"}}
    assert storage.writes == 1
    assert recall_space(study) == NASBench201Space()


def test_a_second_space_is_refused() -> None:
    study = optuna.create_study(study_name="cells")
    NASBench201Space().suggest(study.ask())
    message = r"'cells' searches NASBench201Space\(\).* DARTSSpace\(.*another `study_name`"
    with pytest.raises(ValueError, match=message):
        DARTSSpace().suggest(study.ask())
    # The same kind with other arguments is another space, too.
    study = optuna.create_study()
    CellSpace(3, ("a", "b")).suggest(study.ask())
    with pytest.raises(ValueError, match=r"num_nodes=3.* samples from CellSpace\(num_nodes=4"):
        CellSpace(4, ("a", "b")).suggest(study.ask())


def test_studies_of_one_storage_have_their_own_spaces() -> None:
    storage = InMemoryStorage()
    spaces: list[SearchSpace] = [NASBench201Space(), CellSpace(3, ("a", "b"))]
    studies = [optuna.create_study(storage=storage) for _ in spaces]
    for space, study in zip(spaces, studies, strict=True):
        space.suggest(study.ask())
    assert [recall_space(study) for study in studies] == spaces
    # Studies in memory all have the same number in their own storage.
    assert recall_space(optuna.create_study()) is None


@pytest.mark.parametrize("name", STORAGES)
def test_another_storage_object_finds_the_space(name: str, tmp_path: Path) -> None:
    space = CellSpace(3, ("mine", "none", "p"), weightless=["p"])
    study = optuna.create_study(study_name="s", storage=STORAGES[name](tmp_path))
    architecture = space.suggest(study.ask())
    again = optuna.load_study(study_name="s", storage=STORAGES[name](tmp_path))
    assert recall_space(again) == space
    assert recall_space(again) is recall_space(again)  # built once
    assert space.architecture(again.trials[0].params) == architecture
    with pytest.raises(ValueError, match="searches CellSpace"):
        CellSpace(3, ("mine", "none", "p")).suggest(again.ask())


def test_another_process_finds_the_space(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    DARTSSpace().suggest(optuna.create_study(study_name="s", storage=url).ask())
    program = (
        "import optuna; from optuna_nas.spaces import recall_space;"
        f"print(recall_space(optuna.load_study(study_name='s', storage={url!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == repr(DARTSSpace())


def test_a_space_class_of_one_s_own_is_found() -> None:
    class Mine(NASBench201Space):
        pass

    study = optuna.create_study()
    Mine().suggest(study.ask())
    assert isinstance(recall_space(study), Mine)
    copy = optuna.create_study()
    copy.set_user_attr(SPACE_ATTRIBUTE, study.user_attrs[SPACE_ATTRIBUTE])
    assert isinstance(recall_space(copy), Mine)


def test_an_unknown_space_is_an_error_that_says_what_to_do() -> None:
    study = optuna.create_study()
    study.set_user_attr(SPACE_ATTRIBUTE, {"space": "Elsewhere"})
    with pytest.raises(ValueError, match=r"Unknown search space 'Elsewhere'.*Import the module"):
        recall_space(study)


def test_trials_without_a_study_are_left_alone() -> None:
    study = optuna.create_study()
    study.optimize(lambda trial: len(str(NASBench201Space().suggest(trial))), n_trials=1)
    frozen = study.trials[0]
    assert NASBench201Space().suggest(frozen).params == frozen.params


def test_every_sampler_of_optuna_can_search_a_space() -> None:
    space = NASBench201Space()
    samplers = [
        optuna.samplers.TPESampler(seed=0, n_startup_trials=2),
        optuna.samplers.NSGAIISampler(seed=0, population_size=4),
    ]
    for sampler in samplers:
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: len(space.suggest(trial).key), n_trials=6)
        assert all(space.architecture(trial.params) for trial in study.trials)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
