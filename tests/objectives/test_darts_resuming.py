"""An interrupted search goes on, and ends as one that was never interrupted, bit for bit."""

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
from torch import Tensor

from optuna_nas.data import augment, augmentation
from optuna_nas.trials import TrialRun

SCRIPT = Path(__file__).with_name("killed_search.py")
_script = runpy.run_path(str(SCRIPT))
search, STEPS = _script["search"], _script["STEPS"]


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}")


@pytest.fixture
def final_states(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is checkpointed, in order: the last one is the state of a finished search."""
    states: list[dict[str, Any]] = []
    checkpoint = TrialRun.checkpoint

    def recording(self: TrialRun, state: dict[str, Any]) -> None:
        states.append(copied(state))
        checkpoint(self, state)

    monkeypatch.setattr(TrialRun, "checkpoint", recording)
    return states


def copied(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, (list, tuple)) else tree


def assert_same(ours: Any, theirs: Any, place: str = "") -> None:
    if isinstance(theirs, Tensor):
        assert torch.equal(ours, theirs), place
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), place
        for key, value in theirs.items():
            if key != "seconds":
                assert_same(ours[key], value, f"{place}/{key}")
    elif isinstance(theirs, list):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(a, b, f"{place}/{i}")
    else:
        assert ours == theirs, place


def artifacts(folder: Path, study: optuna.Study, number: int) -> dict[str, bytes]:
    metas = get_all_artifact_meta(study.trials[number], storage=study._storage)
    files = {m.filename: (folder / "files/files" / m.artifact_id).read_bytes() for m in metas}
    return {name: text for name, text in files.items() if name.endswith(".csv")} | {
        "names": ",".join(sorted(files)).encode()
    }


def assert_same_result(
    folder: Path, number: int, whole: Path, states: list[dict[str, Any]], reference: dict[str, Any]
) -> None:
    study, other = load(folder), load(whole)
    trial, expected = study.trials[number], other.trials[0]
    assert trial.state == expected.state == TrialState.COMPLETE
    assert trial.value == expected.value
    assert trial.intermediate_values == expected.intermediate_values
    for name in ("architecture", "derived_params", "supernet_parameters"):
        assert trial.user_attrs[name] == expected.user_attrs[name]
    assert_same(states[-1], reference)
    assert artifacts(folder, study, number) == artifacts(whole, other, 0)
    assert not list((folder / "files" / "checkpoints").rglob("*.safetensors"))


def test_ctrl_c_in_an_epoch(
    tmp_path: Path, final_states: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    search(whole)
    reference = final_states[-1]
    steps = iter(range(10**6))

    def interrupted(*arguments: Any, **options: Any) -> Tensor:
        if next(steps) == 2 * STEPS + 2:
            raise KeyboardInterrupt
        return augment(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(augmentation, "augment", interrupted)
        search(broken)
    assert [t.state.name for t in load(broken).trials] == ["FAIL", "WAITING"]
    search(broken)
    assert load(broken).trials[1].user_attrs["resumed_from_epoch"] == 1
    assert_same_result(broken, 1, whole, final_states, reference)


@pytest.mark.slow
def test_a_killed_process(tmp_path: Path, final_states: list[dict[str, Any]]) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    search(whole)
    reference = final_states[-1]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(broken), str(2 * STEPS + 3)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [t.state.name for t in load(broken).trials] == ["RUNNING"]
    search(broken)
    assert [t.state.name for t in load(broken).trials] == ["FAIL", "COMPLETE"]
    assert_same_result(broken, 1, whole, final_states, reference)


@pytest.mark.parametrize("change", [{"learning_rate": 0.05}, {"edge_weights": False}])
def test_a_checkpoint_of_other_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    steps = iter(range(10**6))

    def interrupted(*arguments: Any, **options: Any) -> Tensor:
        if next(steps) == STEPS + 1:
            raise KeyboardInterrupt
        return augment(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(augmentation, "augment", interrupted)
        search(tmp_path, epochs=2)
    search(tmp_path, epochs=2, **change)
    trial = load(tmp_path).trials[1]
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs.get("resumed_from_epoch") is None
