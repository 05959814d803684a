"""What killed workers leave is removed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import TrialState

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.storages import MAX_RETRY
from optuna_nas.storages.retries import requeue
from optuna_nas.storages.workers import WORKER_ATTR
from optuna_nas.trials import TrialRun, sweep
from tests.trials.test_recovery import gone_process


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="s")


def begin(study: optuna.Study, folder: Path) -> TrialRun:
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    run = TrialRun(trial, folder)
    run.checkpoint({"w": torch.ones(1)})
    path = Path(str(ArtifactFolder(folder).checkpoint("s", run.origin)))
    path.with_name(f".{path.name}.0a1b.tmp").write_bytes(b"half")
    return run


def files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "files" not in path.parts)
    return sorted(f"{path.parts[-3]}/{path.name}" for path in found)


def test_a_running_trial_keeps_all(study: optuna.Study, tmp_path: Path) -> None:
    begin(study, tmp_path)
    before = files(tmp_path)
    sweep(study, ArtifactFolder(tmp_path))
    assert files(tmp_path) == before and len(before) == 2


def test_a_waiting_trial_keeps_its_checkpoint(study: optuna.Study, tmp_path: Path) -> None:
    begin(study, tmp_path)
    study._storage.set_trial_state_values(study.trials[0]._trial_id, TrialState.FAIL)
    requeue(study, study.trials[0])
    sweep(study, ArtifactFolder(tmp_path))
    assert files(tmp_path) == ["checkpoints/trial-0.safetensors"]


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED])
def test_an_ended_trial_needs_none(study: optuna.Study, tmp_path: Path, state: TrialState) -> None:
    begin(study, tmp_path)
    values = [1.0] if state == TrialState.COMPLETE else None
    study._storage.set_trial_state_values(study.trials[0]._trial_id, state, values)
    sweep(study, ArtifactFolder(tmp_path))
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("history", "reason", "left"),
    [
        (range(MAX_RETRY), None, []),  # given up
        (range(MAX_RETRY), "out of memory", ["checkpoints/trial-0.safetensors"]),
        ((), None, ["checkpoints/trial-0.safetensors"]),  # about to be queued again
    ],
)
def test_failed_trials(
    study: optuna.Study, tmp_path: Path, history: range, reason: str | None, left: list[str]
) -> None:
    run = begin(study, tmp_path)
    trial = run.trial
    assert isinstance(trial, optuna.Trial)
    trial.storage.set_trial_system_attr(trial._trial_id, "retry_history", [9 + n for n in history])
    assert WORKER_ATTR in study.trials[0].system_attrs
    if reason is not None:
        trial.set_user_attr("stopped_because", reason)
    study.tell(trial, state=TrialState.FAIL)
    sweep(study, ArtifactFolder(tmp_path))
    assert files(tmp_path) == left


def test_weights_that_nobody_remembers(study: optuna.Study, tmp_path: Path) -> None:
    run = begin(study, tmp_path)
    run.finish(0.5, {"w": torch.ones(1)})
    study.tell(0, 0.5)
    folder = next((tmp_path / "weights").iterdir())
    study.ask()
    study.tell(1, 0.25)
    (folder / "trial-1.safetensors").write_bytes(b"killed before it was remembered")
    (folder / ".trial-1.safetensors.ab.tmp").write_bytes(b"half")
    (folder / "trial-7.safetensors").write_bytes(b"of a trial that has just begun")
    (folder / "mine.txt").write_bytes(b"of the user")
    sweep(study, ArtifactFolder(tmp_path))
    assert sorted(path.name for path in folder.iterdir()) == [
        *("mine.txt", "trial-0.safetensors", "trial-7.safetensors")
    ]


@pytest.mark.skipif(os.name != "posix", reason="only there machines have a start of their own")
def test_workspaces_of_killed_processes(study: optuna.Study, tmp_path: Path) -> None:
    place = ArtifactFolder(tmp_path)
    with place.workspace() as mine:
        (mine / "a.svg").write_text("a")
        dead = mine.with_name(mine.name.replace(f"_{os.getpid()}_", f"_{gone_process()}_"))
        dead.mkdir()
        (dead / "b.svg").write_text("b")
        sweep(study, place)
        assert mine.exists() and not dead.exists()
