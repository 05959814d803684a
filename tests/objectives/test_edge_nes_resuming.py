"""An interrupted search for an ensemble ends as an uninterrupted one, bit for bit."""

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
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from optuna_nas.trials import load_weights

SCRIPT = Path(__file__).with_name("killed_ensemble.py")
_script = runpy.run_path(str(SCRIPT))
search, stop_at = _script["search"], _script["stop_at"]
SEARCH, TRAINING = _script["SEARCH"], _script["TRAINING"]

PLACES = {  # of an interruption, and the epochs that are finished before
    "the second epoch of the optimum": (SEARCH + 1, 1),
    "the first epoch of the hypernetwork": (2 * SEARCH, 2),
    "the second epoch of the hypernetwork": (3 * SEARCH + 2, 3),
    "the first epoch of a candidate": (4 * SEARCH + 2 * TRAINING + 1, 6),
    "the second epoch of a candidate": (4 * SEARCH + 3 * TRAINING + 3, 7),
}


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="ensembles", storage=f"sqlite:///{folder / 'study.db'}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    search(folder)
    return folder


def without_seconds(attributes: Any) -> Any:
    if not isinstance(attributes, dict):
        return attributes
    return {k: without_seconds(v) for k, v in attributes.items() if "seconds" not in k}


def tables(folder: Path, number: int) -> dict[str, str]:
    study = load(folder)
    metas = get_all_artifact_meta(study.trials[number], storage=study._storage)
    files = {m.filename: (folder / "files/files" / m.artifact_id).read_text() for m in metas}
    names = ",".join(sorted(files))
    return {"names": names, "candidates": files["candidates.csv"]}


def assert_same_result(folder: Path, number: int, whole: Path) -> None:
    trial, expected = load(folder).trials[number], load(whole).trials[0]
    assert trial.state == expected.state == TrialState.COMPLETE
    assert trial.value == expected.value
    assert trial.intermediate_values == expected.intermediate_values
    assert len(trial.intermediate_values) == 10
    ours = without_seconds(dict(trial.user_attrs))
    ours.pop("resumed_from_epoch")
    assert ours == without_seconds(dict(expected.user_attrs))
    assert tables(folder, number) == tables(whole, 0)
    found, reference = (
        load_weights(f / "files", load(f), n) for f, n in ((folder, number), (whole, 0))
    )
    assert found.keys() == reference.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in reference.items())
    assert not list((folder / "files" / "checkpoints").rglob("*.safetensors"))


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c(tmp_path: Path, whole: Path, place: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    batch, finished = PLACES[place]
    with stop_at(batch, interrupt), pytest.raises(KeyboardInterrupt):
        search(tmp_path)
    assert [t.state.name for t in load(tmp_path).trials] == ["FAIL", "WAITING"]
    assert len(load(tmp_path).trials[0].intermediate_values) == finished
    search(tmp_path)
    assert load(tmp_path).trials[1].user_attrs["resumed_from_epoch"] == finished - 1
    assert_same_result(tmp_path, 1, whole)


@pytest.mark.slow
def test_a_killed_process(tmp_path: Path, whole: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(3 * SEARCH + 3)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [t.state.name for t in load(tmp_path).trials] == ["RUNNING"]
    search(tmp_path)
    assert [t.state.name for t in load(tmp_path).trials] == ["FAIL", "COMPLETE"]
    assert_same_result(tmp_path, 1, whole)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with stop_at(SEARCH + 1, interrupt), pytest.raises(KeyboardInterrupt):
        search(tmp_path)
    search(tmp_path, size=1)
    trial = load(tmp_path).trials[1]
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs.get("resumed_from_epoch") is None
