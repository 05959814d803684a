"""What goes wrong on other people's machines, one fault at a time: nothing finished is lost.

Faults that belong to one module are tested there: the database that is away, drivers that are
missing and trials that two workers take (`test_storages.py`), killed and terminated processes,
Ctrl-C once and twice (`cli/test_interruptions.py`, `objectives/test_cell_cnn_resuming.py`), trials
that others took over (`cli/test_worker.py`), clocks of processes (`trials/test_recovery.py`),
folders in which nothing can be written (`trials/test_run.py`, `trials/test_publishing.py`),
studies of other programs and settings (`cli/test_wrong_arguments.py`, `cli/test_studies.py`).
"""

from __future__ import annotations

import errno
import os
import threading
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.cli.config import SearchConfig
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE, load_study
from optuna_nas.errors import UserError
from optuna_nas.samplers import BananasSampler, RegularizedEvolutionSampler
from optuna_nas.spaces import CellSpace, DARTSSpace, NASBench201Space
from optuna_nas.spaces.study import SPACE_ATTRIBUTE
from optuna_nas.storages import open_storage
from optuna_nas.trials import TrialRun, load_weights, states
from optuna_nas.trials.recovery import requeue
from optuna_nas.visualization.report import write_report

EPOCHS = 4
SPACE = CellSpace(3, ["none", "skip_connect", "nor_conv_1x1"])


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    return optuna.create_study(study_name="cells", storage=storage, direction="maximize")


def train(trial: optuna.Trial, folder: Path, stop: Callable[[int], None] | None = None) -> float:
    """A training whose value depends on every epoch and on the seed."""
    with TrialRun(trial, folder, fingerprint={"epochs": EPOCHS}) as run:
        generator = torch.Generator().manual_seed(run.origin)
        total, first = torch.zeros(3, dtype=torch.float64), 0
        state = run.restore()
        if state is not None:
            total, first = state["total"], state["epoch"] + 1
            generator.set_state(state["generator"])
        for epoch in range(first, EPOCHS):
            total = total + torch.rand(3, generator=generator, dtype=torch.float64)
            run.report(float(total.sum()), epoch)
            run.checkpoint({"total": total, "epoch": epoch, "generator": generator.get_state()})
            if stop is not None:
                stop(epoch)
        run.finish(float(total.sum()), {"total": total})
        return float(total.sum())


def expected(origin: int) -> float:
    generator = torch.Generator().manual_seed(origin)
    total = torch.zeros(3, dtype=torch.float64)
    for _ in range(EPOCHS):
        total = total + torch.rand(3, generator=generator, dtype=torch.float64)
    return float(total.sum())


class PowerCutError(Exception):
    """The process would be gone."""


def cut_after(epoch: int) -> Callable[[int], None]:
    def stop(now: int) -> None:
        if now == epoch:
            raise PowerCutError

    return stop


def interrupted(study: optuna.Study, folder: Path, epoch: int = 1) -> Path:
    """A trial that was cut off after an epoch and is queued again; its checkpoint."""
    study.optimize(
        lambda t: train(t, folder, cut_after(epoch)), n_trials=1, catch=(PowerCutError,)
    )
    requeue(study, study.trials[-1])
    return Path(str(ArtifactFolder(folder).checkpoint("cells", study.trials[0].number)))


def go_on(study: optuna.Study, folder: Path) -> FrozenTrial:
    study.optimize(lambda t: train(t, folder), n_trials=1)
    trial = study.trials[-1]
    assert trial.state == TrialState.COMPLETE and trial.value == expected(0)
    assert list(trial.intermediate_values) == list(range(EPOCHS))
    return trial


def test_an_interrupted_training_goes_on(study: optuna.Study, tmp_path: Path) -> None:
    interrupted(study, tmp_path / "files")
    assert go_on(study, tmp_path / "files").user_attrs["resumed_from_epoch"] == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_is_full_or_read_only_while_checkpoints_are_written(
    study: optuna.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    """The checkpoint before stays, the training goes on, and one line says so."""
    folder = tmp_path / "files"
    sync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    def stop(epoch: int) -> None:
        if epoch == 0:
            monkeypatch.setattr(os, "fsync", full)
        if epoch == 2:
            raise PowerCutError

    study.optimize(lambda t: train(t, folder, stop), n_trials=1, catch=(PowerCutError,))
    assert caplog.text.count("Training goes on without a checkpoint") == 1
    assert os.strerror(number) in caplog.text
    path = Path(str(ArtifactFolder(folder).checkpoint("cells", 0)))
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing half-written
    requeue(study, study.trials[0])
    study.optimize(lambda t: train(t, folder), n_trials=1)  # still full: weights are not kept
    assert study.trials[1].value == expected(0)
    assert study.trials[1].user_attrs["resumed_from_epoch"] == 0
    monkeypatch.setattr(os, "fsync", sync)
    study.optimize(lambda t: train(t, folder), n_trials=1)
    assert study.trials[2].value == expected(2)
    assert float(load_weights(folder, study, 2)["total"].sum()) == expected(2)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_checkpoint_costs_the_training_and_no_more(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture, part: float
) -> None:
    path = interrupted(study, tmp_path / "files")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    trial = go_on(study, tmp_path / "files")
    assert trial.user_attrs.get("resumed_from_epoch") is None
    assert "Training starts from scratch: the checkpoint is refused" in caplog.text


def test_a_checkpoint_of_a_newer_format(
    study: optuna.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(states, "_FORMAT", 2)
    interrupted(study, tmp_path / "files")
    monkeypatch.setattr(states, "_FORMAT", 1)
    go_on(study, tmp_path / "files")
    assert "written in format 2, this version reads 1" in caplog.text


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")
def test_a_checkpoint_of_another_space(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = TrialRun(study.ask(), tmp_path, fingerprint={"space": SPACE.to_dict()})
    saved.checkpoint({"epoch": 1})
    requeue(study, study.trials[0])
    other = CellSpace(2, ["skip_connect", "nor_conv_1x1"])
    resumed = TrialRun(study.ask(), tmp_path, fingerprint={"space": other.to_dict()})
    assert resumed.origin == 0 and resumed.restore() is None
    assert "belongs to another training: space was" in caplog.text


def test_two_workers_resume_the_same_training(study: optuna.Study, tmp_path: Path) -> None:
    """Both were told to: the value is right, whoever is first, and the files stay whole."""
    folder = tmp_path / "files"
    interrupted(study, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback()(study, study.trials[0])  # as Optuna's heartbeat does
    assert [t.state for t in study.trials[1:]] == [TrialState.WAITING] * 2
    together = threading.Barrier(2)
    address = f"sqlite:///{tmp_path / 'study.db'}"

    def at_once(trial: optuna.Trial) -> float:
        together.wait(60)
        return train(trial, folder)

    def resume() -> None:
        own = optuna.load_study(study_name="cells", storage=open_storage(address))
        own.optimize(at_once, n_trials=1)

    threads = [threading.Thread(target=resume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [t.value for t in study.trials[1:]] == [expected(0)] * 2
    assert not ArtifactFolder(folder).checkpoint("cells", 0).exists()
    for number in (1, 2):
        assert float(load_weights(folder, study, number)["total"].sum()) == expected(0)


def test_a_clock_that_goes_backwards(tmp_path: Path) -> None:
    """Trials that end before they start are sampled from, reported and drawn as others are."""
    for sampler in (
        BananasSampler(seed=0, n_startup_trials=2),
        RegularizedEvolutionSampler(seed=0),
    ):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        now = datetime.now()
        for number in range(6):
            trial = study.ask()
            SPACE.suggest(trial)
            trial.report(0.1 * number, 0)
            study.tell(trial, 0.1 * number)
        for number, stored in enumerate(study.get_trials(deepcopy=False)):
            stored.datetime_start = now - timedelta(hours=number)
            stored.datetime_complete = now - timedelta(hours=2 * number)
        trial = study.ask()
        SPACE.suggest(trial)
        study.tell(trial, 1.0)
        path = write_report(study, tmp_path / "report.html")
        assert "NaN" not in path.read_text(encoding="utf-8").split("<script")[0]
        assert study.best_value == 1.0


def test_a_study_of_another_sampler_is_gone_on_with(study: optuna.Study) -> None:
    space = NASBench201Space()
    study.sampler = optuna.samplers.TPESampler(seed=0)
    study.optimize(lambda t: float(len(str(space.suggest(t)))), n_trials=8)
    before = study.trials
    study.sampler = BananasSampler(seed=0, n_startup_trials=4)
    study.optimize(lambda t: float(len(str(space.suggest(t)))), n_trials=4)
    assert study.trials[:8] == before
    keys = [space.architecture(t.params).key for t in study.trials]
    assert not set(keys[:8]) & set(keys[8:])
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_a_study_of_another_space(study: optuna.Study) -> None:
    study.sampler = BananasSampler(seed=0)
    study.optimize(lambda t: float(len(str(SPACE.suggest(t)))), n_trials=2)
    before = study.trials
    with pytest.raises(ValueError, match=r"searches CellSpace"):
        study.optimize(lambda t: float(len(str(DARTSSpace().suggest(t)))), n_trials=1)
    assert study.trials[:2] == before


NEWER: list[dict[str, Any]] = [
    {"config": {"study": "cells", "budget": {}}},
    {"command": "optuna-nas search"},
    {"command": "optuna-nas search", "config": None},
    {"command": "optuna-nas search", "config": []},
    {"command": "optuna-nas search", "config": {"objective": "perceptron"}},
]


@pytest.mark.parametrize("stored", [*NEWER, [], "text", 7])
@pytest.mark.parametrize("name", ["search", "best", "report", "export", "dashboard"])
def test_a_study_of_a_newer_version(
    study: optuna.Study,
    tmp_path: Path,
    name: str,
    stored: Any,
    command: Callable[..., tuple[int, str, str]],
) -> None:
    study.set_user_attr(CONFIG_ATTRIBUTE, stored)
    code, _, err = command(name, "--study=cells", f"--storage=sqlite:///{tmp_path / 'study.db'}")
    assert code == 2 and err.startswith("Error: ") and err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 3}, r"settings \['budget'\] are of another version of optuna-nas"),
        ({"options": {"mixup": 0.2}}, r"options \['mixup'\] of cell-cnn are of another version"),
    ],
)
def test_settings_of_a_newer_version_are_named(change: dict[str, Any], message: str) -> None:
    config: dict[str, Any] = {
        "study": "cells",
        "storage": "sqlite:///x.db",
        "artifacts": "files",
        "objective": "cell-cnn",
        "sampler": "bananas",
        "pruner": "none",
        "seed": 0,
        "options": {},
    }
    assert SearchConfig.from_dict(config).to_dict()["options"]["epochs"] > 0
    with pytest.raises(ValueError, match=message):
        SearchConfig.from_dict({**config, **change})


def test_a_space_of_a_newer_version(study: optuna.Study, tmp_path: Path) -> None:
    study.set_user_attr(SPACE_ATTRIBUTE, {"space": "graph", "size": 3})
    with pytest.raises(ValueError, match="Unknown search space 'graph'"):
        study.optimize(lambda t: float(len(str(SPACE.suggest(t)))), n_trials=1)
    assert load_study("cells", f"sqlite:///{tmp_path / 'study.db'}").study_name == "cells"
    assert issubclass(UserError, ValueError)
