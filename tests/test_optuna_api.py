"""Optuna's private API: one module uses it, and here is what a new Optuna has changed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import PartialFixedSampler, RandomSampler
from optuna.storages import InMemoryStorage, RDBStorage

from optuna_nas import _optuna

PACKAGE = Path(__file__).parents[1] / "optuna_nas"
PRIVATE = {"_storage", "_study_id", "_trial_id", "_get_trials", "_fixed_params", "_contains"}
OVERRIDDEN = {("patient.py", "RDBStorage._get_stale_trial_ids")}


def uses(path: Path) -> Iterator[str]:
    """What a module says of Optuna's that begins with an underscore."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            names = [alias.name for alias in node.names]
            if parts[0] == "optuna" and any(part.startswith("_") for part in parts + names):
                yield ".".join(parts)
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            ours = owner in ("self", "cls")
            optunas = owner.startswith("optuna") or owner.endswith("Storage")
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            if (node.attr in PRIVATE and not ours) or (optunas and private):
                yield ast.unparse(node)


def test_one_module_uses_what_is_private() -> None:
    found = {
        (path.name, use)
        for path in PACKAGE.rglob("*.py")
        if path.name != "_optuna.py"
        for use in uses(path)
    }
    assert found == OVERRIDDEN
    assert {"optuna._hypervolume", "study._storage", "study._study_id", "trial._trial_id"} <= set(
        uses(PACKAGE / "_optuna.py")
    )


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(storage=f"sqlite:///{tmp_path / 'a.db'}", study_name="a")


def _says(study: optuna.Study) -> None:
    storage, number = _optuna.storage(study), _optuna.study_id(study)
    assert storage.get_study_name_from_id(number) == "a"


def _trial_ids(study: optuna.Study) -> None:
    trial = study.ask()
    for one in (trial, study.trials[0]):
        stored = _optuna.storage(study).get_trial(_optuna.trial_id(one))
        assert stored.number == 0


def _trials_now(study: optuna.Study) -> None:
    study.ask()
    study.get_trials()  # what a cache would keep
    study.ask()
    assert [trial.number for trial in _optuna.trials_now(study)] == [0, 1]


def _backend(study: optuna.Study) -> None:
    assert isinstance(_optuna.backend(_optuna.storage(study)), RDBStorage)
    memory = InMemoryStorage()
    assert _optuna.backend(memory) is memory


def _fixed_params(study: optuna.Study) -> None:
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        sampler = PartialFixedSampler({"x": 1}, RandomSampler())
    assert _optuna.fixed_params(sampler) == {"x": 1}


def _contains(study: optuna.Study) -> None:
    assert _optuna.contains(FloatDistribution(0, 1), 0.5)
    assert not _optuna.contains(FloatDistribution(0, 1), 1.5)
    assert not _optuna.contains(CategoricalDistribution(["a", "b"]), 2)


def _stale_trials(study: optuna.Study) -> None:
    backend = _optuna.backend(_optuna.storage(study))
    assert isinstance(backend, RDBStorage)
    study.ask()
    backend.heartbeat_interval = 60
    assert backend._get_stale_trial_ids(_optuna.study_id(study)) == []


def _tables(study: optuna.Study) -> None:
    backend = _optuna.backend(_optuna.storage(study))
    assert isinstance(backend, RDBStorage)
    study.set_user_attr("key", "value")
    trial = _optuna.trial_id(study.ask())
    backend.record_heartbeat(trial)
    with backend.scoped_session() as session:
        assert _optuna.TrialHeartbeatModel.where_trial_id(trial, session) is not None
        [row] = session.query(_optuna.StudyUserAttributeModel).all()
        assert str(row.key) == "key" and str(row.value_json) == '"value"'


def _boxes(study: optuna.Study) -> None:
    front, reference = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0])
    lower, upper = _optuna.get_non_dominated_box_bounds(front, reference)
    assert lower.shape == upper.shape == (3, 2)
    volumes = np.prod(np.minimum(upper, 2.0) - np.maximum(lower, -1.0), axis=1)
    assert volumes.sum() == pytest.approx(9.0 - 3.0)  # all of the square but what is dominated


CONTRACTS = [
    _says,
    _trial_ids,
    _trials_now,
    _backend,
    _fixed_params,
    _contains,
    _stale_trials,
    _tables,
    _boxes,
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__.strip("_"))
def test_optuna_is_what_it_was(
    contract: Callable[[optuna.Study], None], study: optuna.Study
) -> None:
    try:
        contract(study)
    except Exception as error:
        pytest.fail(
            f"Optuna {optuna.__version__} has changed what optuna_nas/_optuna.py uses: "
            f"{contract.__name__.strip('_')}: {error!r}"
        )
