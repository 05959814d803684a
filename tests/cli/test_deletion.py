"""A study that is deleted while it runs."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from optuna_nas.cli.deletion import unless_deleted
from optuna_nas.cli.worker import finished_trials
from optuna_nas.errors import UserError
from optuna_nas.storages import open_storage


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")
@pytest.mark.parametrize("name", ["study.db", "study.journal"])
def test_it_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    address = str(path) if name.endswith("journal") else f"sqlite:///{path}"
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    trial = study.ask()
    optuna.delete_study(study_name="s", storage=open_storage(address))
    for use in (
        lambda: finished_trials(study),
        lambda: trial.suggest_float("x", 0, 1),
        lambda: study.optimize(lambda trial: 0.5, n_trials=1),
    ):
        said = "The study 's' was deleted while it ran"
        with pytest.raises(UserError, match=said), unless_deleted(study):
            use()


def test_other_errors_stay_what_they_are() -> None:
    study = optuna.create_study()
    with pytest.raises(KeyError, match="mine"), unless_deleted(study):
        raise KeyError("mine")
