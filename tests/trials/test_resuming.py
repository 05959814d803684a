"""Kill a real process in the middle of a real training, and let the same command go on."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.trials import load_weights

EPOCHS = 6
SCRIPT = Path(__file__).with_name("toy_training.py")


def train(folder: Path, **options: Any) -> None:
    """Run the search in this process, to its end."""
    search = runpy.run_path(str(SCRIPT))["search"]
    search(f"sqlite:///{folder / 'study.db'}", str(folder / "files"), **options)


def train_and_kill(folder: Path, kill_at: str) -> None:
    """Run the search in a process of its own, which is killed by SIGKILL on the way."""
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT)),
            *(f"sqlite:///{folder / 'study.db'}", str(folder / "files"), kill_at),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="toy", storage=f"sqlite:///{folder / 'study.db'}")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(folder)
    return folder


def assert_same_result(folder: Path, uninterrupted: Path, number: int) -> None:
    """The trial's curve, value and weights are those of a training that was never interrupted."""
    study, other = load(folder), load(uninterrupted)
    trial, expected = study.trials[number], other.trials[0]
    assert trial.state == expected.state == TrialState.COMPLETE
    assert trial.params == expected.params == {"rate": 0.05}
    assert trial.values == expected.values
    assert trial.intermediate_values == expected.intermediate_values
    assert list(trial.intermediate_values) == list(range(EPOCHS))
    weights = load_weights(folder / "files", study, number)
    reference = load_weights(uninterrupted / "files", other, 0)
    assert list(weights) == list(reference) and len(weights) == 9
    for name, weight in weights.items():
        assert torch.equal(weight, reference[name]), name
    assert not list((folder / "files" / "checkpoints").rglob("trial-*"))


@pytest.mark.slow
@pytest.mark.parametrize(("when", "last_saved"), [("before", 2), ("after", 3)])
def test_a_killed_training_goes_on_from_its_checkpoint(
    tmp_path: Path, uninterrupted: Path, when: str, last_saved: int
) -> None:
    train_and_kill(tmp_path, f"3:{when}")
    assert [trial.state for trial in load(tmp_path).trials] == [TrialState.RUNNING]
    assert ArtifactFolder(tmp_path / "files").checkpoint("toy", 0).exists()

    train(tmp_path)
    study = load(tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[1].user_attrs == {
        "resumed_from_epoch": last_saved,
        "trained": EPOCHS - 1 - last_saved,
    }
    assert_same_result(tmp_path, uninterrupted, 1)


def test_killed_twice_it_still_finds_the_checkpoint(tmp_path: Path, uninterrupted: Path) -> None:
    train_and_kill(tmp_path, "1:after")
    train_and_kill(tmp_path, "4:before")
    train(tmp_path)
    study = load(tmp_path)
    assert [t.state.name for t in study.trials] == ["FAIL", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs["resumed_from_epoch"] == 1
    assert study.trials[2].user_attrs["resumed_from_epoch"] == 3
    assert study.trials[2].user_attrs["trained"] == 2
    assert_same_result(tmp_path, uninterrupted, 2)


def test_an_interrupted_training_is_queued_again(tmp_path: Path, uninterrupted: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, interrupt_at=4)
    assert [t.state.name for t in load(tmp_path).trials] == ["FAIL", "WAITING"]
    train(tmp_path)
    assert load(tmp_path).trials[1].user_attrs["trained"] == 2
    assert_same_result(tmp_path, uninterrupted, 1)


def test_a_damaged_checkpoint_costs_time_but_not_the_trial(
    tmp_path: Path, uninterrupted: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, interrupt_at=4)
    path = Path(str(ArtifactFolder(tmp_path / "files").checkpoint("toy", 0)))
    path.write_bytes(path.read_bytes()[:-7])
    train(tmp_path)
    assert load(tmp_path).trials[1].user_attrs == {"trained": EPOCHS}
    corrupt = path.with_name("trial-0.safetensors.corrupt")
    assert corrupt.exists()
    corrupt.unlink()
    assert_same_result(tmp_path, uninterrupted, 1)
