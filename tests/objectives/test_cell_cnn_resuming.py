"""An interrupted training goes on, and ends as one that was never interrupted, bit for bit."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from torch import Tensor

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.data import augment
from optuna_nas.trials import load_weights

SCRIPT = Path(__file__).with_name("killed_training.py")
EPOCHS = 5
_script = runpy.run_path(str(SCRIPT))
search, make_objective, STEPS = (_script[n] for n in ("search", "make_objective", "STEPS"))


@contextmanager
def broken_at(step: int, error: BaseException) -> Iterator[None]:
    """Raise in the middle of a training, in this step of this process."""
    steps = iter(range(10**6))

    def raising(*arguments: Any, **options: Any) -> Tensor:
        if next(steps) == step:
            raise error
        return augment(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optuna_nas.data.augmentation.augment", raising)
        yield


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="cells", storage=f"sqlite:///{folder / 'study.db'}")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    search(folder)
    return folder


def assert_same_result(folder: Path, number: int, uninterrupted: Path) -> None:
    study, other = load(folder), load(uninterrupted)
    trial, expected = study.trials[number], other.trials[0]
    assert trial.state == expected.state == TrialState.COMPLETE
    assert trial.params == expected.params
    assert trial.value == expected.value
    assert trial.intermediate_values == expected.intermediate_values
    assert list(trial.intermediate_values) == list(range(EPOCHS))
    for name in ("architecture", "parameters", "flops", "test_accuracy"):
        assert trial.user_attrs[name] == expected.user_attrs[name]
    weights = load_weights(folder / "files", study, number)
    reference = load_weights(uninterrupted / "files", other, 0)
    assert list(weights) == list(reference)
    for name, weight in weights.items():
        assert torch.equal(weight, reference[name]), name
    assert not list((folder / "files" / "checkpoints").rglob("*.safetensors"))
    shown = [m.filename for m in get_all_artifact_meta(trial, storage=study._storage)]
    assert sorted(shown) == ["cell.svg", "learning_curve.svg"]


@pytest.mark.parametrize("step", [3 * STEPS, 3 * STEPS + 2])  # between and inside epochs
def test_ctrl_c(tmp_path: Path, uninterrupted: Path, step: int) -> None:
    with pytest.raises(KeyboardInterrupt), broken_at(step, KeyboardInterrupt()):
        search(tmp_path)
    study = load(tmp_path)
    assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]
    assert list(study.trials[0].intermediate_values) == [0, 1, 2]
    first = study.trials[0].user_attrs["seconds"]

    search(tmp_path)
    trial = load(tmp_path).trials[1]
    assert trial.user_attrs["resumed_from_epoch"] == 2
    assert trial.user_attrs["seconds"] > first  # all parts together
    assert_same_result(tmp_path, 1, uninterrupted)


def test_ctrl_c_twice(tmp_path: Path, uninterrupted: Path) -> None:
    for step in (2 * STEPS + 1, 2 * STEPS + 1):  # in the third and the fifth epoch
        with pytest.raises(KeyboardInterrupt), broken_at(step, KeyboardInterrupt()):
            search(tmp_path)
    search(tmp_path)
    trials = load(tmp_path).trials
    assert [t.user_attrs.get("resumed_from_epoch") for t in trials] == [None, 1, 3]
    assert_same_result(tmp_path, 2, uninterrupted)


def test_ctrl_c_in_the_first_epoch_begins_the_same_again(
    tmp_path: Path, uninterrupted: Path
) -> None:
    with pytest.raises(KeyboardInterrupt), broken_at(1, KeyboardInterrupt()):
        search(tmp_path)
    assert [t.state.name for t in load(tmp_path).trials] == ["FAIL", "WAITING"]
    search(tmp_path)
    assert_same_result(tmp_path, 1, uninterrupted)


def test_ctrl_c_between_the_training_and_its_end_trains_nothing_again(
    tmp_path: Path, uninterrupted: Path
) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("optuna_nas.trials.TrialRun.finish", interrupt)
        search(tmp_path)
    with broken_at(0, AssertionError("trained again")):
        search(tmp_path)
    assert_same_result(tmp_path, 1, uninterrupted)


def test_an_error_of_its_own_fails_the_trial_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), broken_at(8, RuntimeError("broken")):
        search(tmp_path)
    study = load(tmp_path)
    assert [t.state.name for t in study.trials] == ["FAIL"]
    assert ArtifactFolder(tmp_path / "files").checkpoint("cells", 0).exists()
    names = {m.filename for m in get_all_artifact_meta(study.trials[0], storage=study._storage)}
    assert names == {"cell.svg", "learning_curve.svg"}  # what was learned until then


@pytest.mark.slow
def test_a_killed_process(tmp_path: Path, uninterrupted: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(2 * STEPS + 3)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [t.state.name for t in load(tmp_path).trials] == ["RUNNING"]
    search(tmp_path)
    assert [t.state.name for t in load(tmp_path).trials] == ["FAIL", "COMPLETE"]
    assert load(tmp_path).trials[1].user_attrs["resumed_from_epoch"] == 1
    assert_same_result(tmp_path, 1, uninterrupted)


@pytest.mark.parametrize("change", [{"learning_rate": 0.05}, {"seed": 9}])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt), broken_at(3 * STEPS, KeyboardInterrupt()):
        search(tmp_path)
    search(tmp_path, **change)
    trial = load(tmp_path).trials[1]
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs.get("resumed_from_epoch") is None
    assert trial.value == make_objective(tmp_path, **change).evaluate(trial.params)
    [aside] = (tmp_path / "files" / "checkpoints").rglob("*.corrupt")
    assert aside.name == "trial-0.safetensors.corrupt"


def test_without_a_folder_it_starts_again(tmp_path: Path, uninterrupted: Path) -> None:
    with pytest.raises(KeyboardInterrupt), broken_at(3 * STEPS, KeyboardInterrupt()):
        search(tmp_path, artifacts=None)
    assert [t.state.name for t in load(tmp_path).trials] == ["FAIL", "WAITING"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.db"]
