"""Our samplers on a storage of Rustuna, seen through its converter."""

from __future__ import annotations

import importlib

import optuna
import pytest

from optuna_nas import BananasSampler
from optuna_nas.spaces import NASBench201Space


def test_a_search_on_a_storage_of_rustuna() -> None:
    pytest.importorskip("rustuna")
    converter = importlib.import_module("rustuna.converter")
    storages = importlib.import_module("rustuna.storages")
    space = NASBench201Space()
    study = optuna.create_study(
        storage=converter.ToOptunaStorage(storages.InMemoryStorage()),
        sampler=BananasSampler(seed=0),
        direction="maximize",
    )
    study.optimize(lambda trial: str(space.suggest(trial)).count("conv"), n_trials=16)
    found = {space.architecture(trial.params).key for trial in study.trials}
    assert len(found) == 16  # nothing twice, so the history was read back
    assert max(trial.value or 0 for trial in study.trials[10:]) > 4  # and learnt from
