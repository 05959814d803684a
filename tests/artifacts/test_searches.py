"""Searches whose files are in a bucket."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import optuna_dashboard
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from werkzeug.test import Client

from optuna_nas.artifacts import open_artifacts
from optuna_nas.cli.results import artifacts_folder
from optuna_nas.storages import open_storage
from optuna_nas.trials import CorruptStateError, TrialRun, load_weights
from optuna_nas.visualization import write_report

REPOSITORY = Path(__file__).parents[2]


def finish(study: optuna.Study, bucket: str, value: float) -> None:
    trial = study.ask()
    with TrialRun(trial, bucket) as run:
        run.finish(value, {"w": torch.tensor([value])}, keep=2)
    study.tell(trial, value)


def test_the_best_weights_are_kept(bucket: str) -> None:
    study = optuna.create_study(study_name="s", direction="maximize")
    for value in (0.5, 0.9, 0.1, 0.7, 0.8):
        finish(study, bucket, value)
    place = open_artifacts(bucket)
    assert [place.weights("s", number).exists() for number in range(5)] == [0, 1, 0, 0, 1]
    assert load_weights(bucket, study, 1)["w"].item() == pytest.approx(0.9)
    with pytest.raises(
        FileNotFoundError, match=rf"{bucket}: there are those of the trials \[1, 4\]"
    ):
        load_weights(bucket, study, 0)


def test_an_interrupted_training_goes_on(bucket: str) -> None:
    study = optuna.create_study(study_name="s")

    def objective(trial: optuna.Trial) -> float:
        with TrialRun(trial, bucket, fingerprint={"a": 1}) as run:
            state = run.restore() or {"epoch": -1}
            for epoch in range(state["epoch"] + 1, 4):
                run.report(float(epoch), epoch)
                run.checkpoint({"epoch": epoch, "w": torch.ones(3)})
                if trial.number == 0 and epoch == 2:
                    raise KeyboardInterrupt
            run.finish(3.0)
        return 3.0

    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)
    place = open_artifacts(bucket)
    assert place.checkpoint("s", 0).exists()
    study.optimize(objective, n_trials=1)
    assert study.trials[1].user_attrs["resumed_from_epoch"] == 2
    assert list(study.trials[1].intermediate_values) == [0, 1, 2, 3]
    assert not place.checkpoint("s", 0).exists()


def test_a_damaged_checkpoint_is_moved_aside(bucket: str) -> None:
    study = optuna.create_study(study_name="s")
    place = open_artifacts(bucket)
    place.checkpoint("s", 0).write(b"damaged")
    with TrialRun(study.ask(), bucket) as run:
        assert run.restore() is None
    with (
        open_artifacts(bucket)
        .file(str(place.checkpoint("s", 0)).removeprefix(f"{bucket}/") + ".corrupt")
        .local() as path
    ):
        assert path.read_bytes() == b"damaged"
    place.weights("s", 0).write(b"damaged too")
    with pytest.raises(CorruptStateError, match=f"{bucket}/weights"):
        load_weights(bucket, study, 0)


def test_a_server_that_is_away_costs_no_training(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("optuna_nas.artifacts.opening._ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    study = optuna.create_study()
    finish(study, bucket, 0.5)
    with TrialRun(study.ask(), bucket) as run:
        assert run.restore() is None
        run.checkpoint({"epoch": 0})
        assert run.publish("cell.svg", "<svg/>") is None
    assert study.best_value == 0.5
    for said in ("cannot keep its weights", "without a checkpoint", "cannot publish 'cell.svg'"):
        assert said in caplog.text


def test_the_dashboard_shows_what_is_published(bucket: str) -> None:
    study = optuna.create_study()
    trial = study.ask()
    with TrialRun(trial, bucket) as run:
        run.publish("cell.svg", "<svg>first</svg>")
        run.publish("cell.svg", "<svg>cell</svg>")  # in its place
    study.tell(trial, 1.0)
    [meta] = get_all_artifact_meta(study.trials[0], storage=study._storage)
    page = Client(
        optuna_dashboard.wsgi(study._storage, artifact_store=open_artifacts(bucket).store)
    )
    answer = page.get(f"/artifacts/{study._study_id}/{trial._trial_id}/{meta.artifact_id}")
    assert (answer.status_code, answer.data) == (200, b"<svg>cell</svg>")


@pytest.mark.slow
def test_a_killed_search_goes_on_in_another_folder(bucket: str, tmp_path: Path) -> None:
    """As on another machine: only the database and the bucket are shared."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    command = [sys.executable, "-m", "optuna_nas"]
    options = (
        f"search --storage sqlite:///{tmp_path}/study.db --artifacts {bucket}/cells --data digits "
        "--train-size 200 --validation-size 60 --test-size 40 --device cpu --epochs 40 "
        "--batch-size 8 --channels 4 --cells 1 --pruner none --sampler random --trials 1"
    ).split()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, *options], cwd=here, env=environment, start_new_session=True
    )
    place = open_artifacts(f"{bucket}/cells")
    checkpoint = place.checkpoint("nas", 0)
    end = time.monotonic() + 120
    while not checkpoint.exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(here)

    subprocess.run([*command, *options], cwd=there, env=environment, check=True, timeout=300)
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    study = optuna.load_study(study_name="nas", storage=storage)
    killed, finished = study.trials
    assert finished.user_attrs["resumed_from_epoch"] >= 0
    assert list(finished.intermediate_values) == list(range(40))
    assert killed.params == finished.params
    assert not checkpoint.exists()
    assert [file.name for file in there.iterdir()] == ["nas-artifacts"]
    assert [file.name for file in (there / "nas-artifacts").iterdir()] == ["logs"]

    folder = artifacts_folder(study)
    assert folder == f"{bucket}/cells"
    write_report(study, tmp_path / "report.html", artifacts=folder)
    export = [*command, "export", "--storage", f"sqlite:///{tmp_path}/study.db"]
    subprocess.run(export, cwd=there, env=environment, check=True, timeout=120)
    about = json.loads((there / "nas-export" / "model.json").read_text())
    assert about["trained_again"] is False
