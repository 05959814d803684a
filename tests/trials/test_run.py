from __future__ import annotations

import json
import logging
import math
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, TrialState

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.storages.retries import known_outcome
from optuna_nas.trials import TrialRun, load_weights, recover_interrupted
from optuna_nas.trials.recovery import WORKER_ATTR, queued_if_interrupted, worker_identity
from optuna_nas.trials.weights import keep_weights, kept_trials
from tests.trials.test_recovery import gone_process


@pytest.fixture(params=["memory", "sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    storages: dict[str, Any] = {
        "memory": lambda: None,
        "sqlite": lambda: f"sqlite:///{tmp_path / 'study.db'}",
        "journal": lambda: JournalStorage(JournalFileBackend(str(tmp_path / "journal"))),
    }
    return optuna.create_study(
        study_name="s",
        storage=storages[request.param](),
        pruner=optuna.pruners.ThresholdPruner(upper=10.0),
    )


def retry(study: optuna.Study, trial: optuna.Trial, *, inherit: bool = False) -> optuna.Trial:
    """Do what Optuna's heartbeat does with a stale trial, and start the new one."""
    study.tell(trial, state=TrialState.FAIL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        callback = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=inherit)
        callback(study, study.get_trials()[trial.number])
    return study.ask()


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").rglob("*.*"))


def test_report_prunes_and_a_pruned_trial_leaves_no_checkpoint(
    study: optuna.Study, tmp_path: Path
) -> None:
    def objective(trial: optuna.Trial) -> float:
        with TrialRun(trial, tmp_path / "files") as run:
            for epoch, value in enumerate([1.0, 2.0, 11.0, 4.0]):
                run.report(value, epoch)
                run.checkpoint({"epoch": epoch})
                assert checkpoints(tmp_path / "files") == ["trial-0.safetensors"]
        return 0.0

    study.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.PRUNED
    assert study.trials[0].intermediate_values == {0: 1.0, 1: 2.0, 2: 11.0}
    assert checkpoints(tmp_path / "files") == []
    with pytest.raises(optuna.TrialPruned, match=r"Pruned after report 4, with value 12\.5"):
        TrialRun(study.ask()).report(12.5, 3)


def test_log_stores_plain_numbers(study: optuna.Study) -> None:
    run = TrialRun(study.ask())
    run.log(a=1, b=np.float32(0.5), c=np.int64(7), d=torch.tensor(2.5), e=torch.tensor([3]))
    run.log(f=True, g=np.bool_(False), h=math.inf, i=np.float64("nan"))
    attrs = study.trials[0].user_attrs
    assert math.isnan(attrs.pop("i"))
    assert attrs == {
        "a": 1,
        "b": 0.5,
        "c": 7,
        "d": 2.5,
        "e": 3,
        "f": True,
        "g": False,
        "h": math.inf,
    }
    expected = {"a": int, "b": float, "c": int, "d": float, "e": int, "f": bool, "g": bool}
    assert {name: type(attrs[name]) for name in expected} == expected


@pytest.mark.parametrize("value", ["1", None, [1.0], 1j])
def test_log_refuses_what_is_no_number(value: Any) -> None:
    study = optuna.create_study()
    with pytest.raises(TypeError, match=r"log\(size=.*a number is needed"):
        TrialRun(study.ask()).log(first=1, size=value)
    assert study.trials[0].user_attrs == {}


def test_the_continued_trial_has_the_state_and_the_whole_curve(
    study: optuna.Study, tmp_path: Path
) -> None:
    first = study.ask()
    rate = first.suggest_float("rate", 0, 1)
    run = TrialRun(first, tmp_path / "files")
    assert run.restore() is None
    for epoch in range(3):
        run.report(1.0 / (epoch + 1), epoch)
        run.checkpoint({"epoch": epoch, "weights": torch.full((2,), float(epoch))})
    run.report(5.0, 3)  # killed here: the checkpoint knows nothing of epoch 3

    second = retry(study, first)
    run = TrialRun(second, tmp_path / "files")
    state = run.restore()
    assert state is not None and state["epoch"] == 2
    assert torch.equal(state["weights"], torch.tensor([2.0, 2.0]))
    assert run.curve == study.trials[1].intermediate_values == {0: 1.0, 1: 0.5, 2: 1 / 3}
    assert study.trials[1].user_attrs == {"resumed_from_epoch": 2}
    assert second.suggest_float("rate", 0, 1) == rate
    run.report(1 / 3, 2)  # the restored epoch once more: Optuna would warn
    run.report(0.25, 3)
    run.checkpoint({"epoch": 3})

    third = retry(study, second)  # a retry of a retry: still the same checkpoint
    run = TrialRun(third, tmp_path / "files")
    assert (second.number, third.number, run.origin) == (1, 2, 0)
    assert run.restore() == {"epoch": 3}
    assert study.trials[2].intermediate_values == {0: 1.0, 1: 0.5, 2: 1 / 3, 3: 0.25}
    assert study.trials[2].user_attrs == {"resumed_from_epoch": 3}
    run.finish()
    assert checkpoints(tmp_path / "files") == []

    fourth = retry(study, third)  # its checkpoint is gone: what it inherited is no longer true
    run = TrialRun(fourth, tmp_path / "files")
    assert run.restore() is None and run.curve == {}
    assert study.trials[3].user_attrs == {"resumed_from_epoch": None}


def test_epochs_the_trial_has_already_are_not_reported_twice(
    study: optuna.Study, tmp_path: Path
) -> None:
    first = study.ask()
    run = TrialRun(first, tmp_path / "files")
    run.report(1.0, 0)
    run.checkpoint({"epoch": 0})
    run.report(2.0, 1)
    run = TrialRun(retry(study, first, inherit=True), tmp_path / "files")
    assert study.trials[1].intermediate_values == {0: 1.0, 1: 2.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns when a step is reported twice
        assert run.restore() == {"epoch": 0}
        run.report(2.0, 1)
        run.report(3.0, 2)
    assert run.curve == study.trials[1].intermediate_values == {0: 1.0, 1: 2.0, 2: 3.0}


def test_several_objectives_keep_the_curve_as_an_attribute(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    first = study.ask()
    run = TrialRun(first, tmp_path)
    run.report(0.5, 0)
    run.report(0.75, 1)
    run.checkpoint({"epoch": 1})
    assert study.trials[0].user_attrs == {"learning_curve": [[0, 0.5], [1, 0.75]]}
    run.report(0.8, 2)
    run = TrialRun(retry(study, first), tmp_path)
    assert run.restore() == {"epoch": 1}
    assert study.trials[1].user_attrs["learning_curve"] == [[0, 0.5], [1, 0.75]]


def test_another_fingerprint_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = optuna.create_study(study_name="s")
    first = study.ask()
    before = {"space": {"name": "darts"}, "channels": 16, "lr": (0.1, 0.2)}
    TrialRun(first, tmp_path, fingerprint=before).checkpoint({"epoch": 0})
    second = retry(study, first)
    now = {"space": {"name": "darts"}, "channels": 32, "epochs": 5, "lr": [0.1, 0.2]}
    assert TrialRun(second, tmp_path, fingerprint=now).restore() is None
    assert "channels was 16, is 32; epochs was not set, is 5" in caplog.text
    assert "lr was" not in caplog.text and "space was" not in caplog.text
    assert checkpoints(tmp_path) == ["trial-0.safetensors.corrupt"]
    with pytest.raises(TypeError, match="fingerprint must hold JSON values only"):
        TrialRun(second, tmp_path, fingerprint={"space": object()})


def test_data_without_a_digest_are_those_of_an_earlier_version(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="s")
    first = study.ask()
    TrialRun(first, tmp_path, fingerprint={"data": {"train": 3}}).checkpoint({"epoch": 0})
    now = {"data": {"train": 3, "digest": "a"}}
    second = retry(study, first)
    run = TrialRun(second, tmp_path, fingerprint=now)
    assert run.restore() == {"epoch": 0}
    run.checkpoint({"epoch": 1})
    other = {"data": {"train": 3, "digest": "b"}}
    assert TrialRun(retry(study, second), tmp_path, fingerprint=other).restore() is None


def test_a_checkpoint_of_an_older_study_of_the_same_name_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    TrialRun(optuna.create_study(study_name="s").ask(), tmp_path).checkpoint({"epoch": 7})
    run = TrialRun(optuna.create_study(study_name="s").ask(), tmp_path)
    assert run.restore() is None
    assert "another study of the name 's'" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\xff" * 1000])
def test_a_damaged_checkpoint_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    study = optuna.create_study(study_name="s")
    path = Path(str(ArtifactFolder(tmp_path).checkpoint("s", 0)))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    run = TrialRun(study.ask(), tmp_path)
    assert run.restore() is None
    assert "starts from scratch" in caplog.text
    assert path.with_name("trial-0.safetensors.corrupt").read_bytes() == content
    run.checkpoint({"epoch": 0})
    assert run.restore() == {"epoch": 0}


def test_leftovers_of_a_killed_writer_go_with_the_checkpoint(tmp_path: Path) -> None:
    run = TrialRun(optuna.create_study(study_name="s").ask(), tmp_path)
    run.checkpoint({})
    path = Path(str(ArtifactFolder(tmp_path).checkpoint("s", 0)))
    path.with_name(".trial-0.safetensors.abc.tmp").write_bytes(b"half")
    path.with_name(".trial-01.safetensors.abc.tmp").write_bytes(b"of another trial")
    run.finish()
    assert [file.name for file in path.parent.iterdir()] == [".trial-01.safetensors.abc.tmp"]


def test_training_goes_on_where_nothing_can_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    study = optuna.create_study()
    with TrialRun(study.ask(), tmp_path) as run:
        assert run.restore() is None
        for epoch in range(3):
            run.report(1.0, epoch)
            run.checkpoint({"epoch": epoch})
    assert caplog.text.count("Training goes on without a checkpoint") == 1
    with pytest.raises(TypeError, match="state"):
        run.checkpoint({"bad": object()})


@pytest.mark.parametrize(
    "name",
    [
        *("../../escape", "/etc/passwd", "..", ".", "", "a\x00b", "con", "naïve ☃" * 100),
        *("a/b", "a\\b", "C:\\x", "-rf", "%2e%2e", "\ud800", " ", "line\nbreak", "*?[a]"),
    ],
)
def test_hostile_study_names_stay_in_the_folder(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Optuna logs the name, and test processes cannot exchange half a surrogate pair.
    caplog.set_level("WARNING", logger="optuna")
    study = optuna.create_study(study_name=name)
    trial = study.ask()
    run = TrialRun(trial, tmp_path / "files")
    run.checkpoint({"name": "x"})
    assert run.restore() == {"name": "x"}
    found = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(found) == 1 and found[0].parts[:2] == ("files", "checkpoints")
    assert len(found[0].parts) == 4 and found[0].as_posix().isascii()
    run.finish(1.0, {"w": torch.zeros(1)})
    assert [path.parts[-3] for path in tmp_path.rglob("*.safetensors")] == ["weights"]


def test_similar_names_have_their_own_folders() -> None:
    folder = ArtifactFolder(Path("x"))
    names = ["a/b", "a_b", "a\\b", "A_b", "a b", "a.b", "a_b.", "a" * 100, "a" * 101]
    assert len({str(folder.checkpoint(name, 0)).lower() for name in names}) == len(names)


def interrupted_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """What it does from the second time on."""
    calls = []

    def call(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return function(*arguments, **keywords)

    return call


def train(trial: optuna.Trial, folder: Path) -> float:
    """A training of two epochs whose value is that of its parameter."""
    x = trial.suggest_float("x", 0, 1)
    with TrialRun(trial, folder) as run:
        state = run.restore() or {"epoch": -1}
        for epoch in range(state["epoch"] + 1, 2):
            run.log(trained=epoch)
            run.report(x, epoch)
            run.checkpoint({"epoch": epoch})
        run.publish("note.txt", "a")
        run.finish(x, {"w": torch.full((1,), x)})
    return x


@pytest.mark.parametrize(
    "place",
    [
        "trials.run.worker_identity",
        "trials.run.TrialRun.restore",
        "trials.run.TrialRun.log",  # before the first checkpoint
        "trials.run.TrialRun.checkpoint",
        "trials.run.publish",
        "trials.run.keep_weights",
        "trials.run.remember_outcome",
        "trials.checkpoints.Checkpoint.remove",
        "trials.run.TrialRun.finish",
    ],
)
def test_an_interrupted_trial_is_queued_wherever_it_was(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    study.enqueue_trial({"x": 0.25})
    with monkeypatch.context() as patch:
        place = f"optuna_nas.{place}"
        patch.setattr(place, interrupted_once(resolve_name(place)))
        with pytest.raises(KeyboardInterrupt):
            study.optimize(lambda trial: train(trial, tmp_path), n_trials=1)
    study.optimize(lambda trial: train(trial, tmp_path), n_trials=1)
    assert study.trials[0].state == TrialState.FAIL
    assert (study.trials[1].state, study.trials[1].value) == (TrialState.COMPLETE, 0.25)
    assert study.trials[1].intermediate_values == {0: 0.25, 1: 0.25}
    assert load_weights(tmp_path, study, 1)["w"].item() == 0.25
    assert [t.state for t in study.trials[2:]] in ([], [TrialState.COMPLETE])
    assert checkpoints(tmp_path) == []


def test_an_interrupt_while_it_leaves_is_no_reason_to_train_again(tmp_path: Path) -> None:
    study = optuna.create_study()

    def objective(trial: optuna.Trial) -> float:
        train(trial, tmp_path)
        signal.raise_signal(signal.SIGINT)
        return 0.5

    def guarded(trial: optuna.Trial) -> float:
        with queued_if_interrupted(trial):
            return objective(trial)

    with pytest.raises(KeyboardInterrupt):
        study.optimize(guarded, n_trials=1)
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]
    assert study.trials[1].value == study.trials[0].params["x"]
    assert study.trials[1].intermediate_values == study.trials[0].intermediate_values
    assert load_weights(tmp_path, study, study.best_trial.number)


def test_a_trial_of_which_nothing_is_known_is_not_queued(tmp_path: Path) -> None:
    study = optuna.create_study()

    def objective(trial: optuna.Trial) -> float:
        with TrialRun(trial, tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


@pytest.mark.parametrize("pruned", [False, True])
def test_a_training_that_was_finished_is_told_for_a_killed_worker(
    study: optuna.Study, tmp_path: Path, pruned: bool
) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    with suppress(optuna.TrialPruned), TrialRun(trial, tmp_path) as run:
        trial.set_constraint("size", 0.5)
        run.report(20.0 if pruned else 0.5, 0)
        run.finish(0.75, {"w": torch.ones(1)})
    assert checkpoints(tmp_path) == []
    worker = {**worker_identity(0), "pid": gone_process()}  # killed before it tells
    trial.storage.set_trial_system_attr(trial._trial_id, WORKER_ATTR, worker)
    assert recover_interrupted(study) == []
    [told] = study.trials
    expected = (TrialState.PRUNED, 20.0) if pruned else (TrialState.COMPLETE, 0.75)
    assert (told.state, told.value) == expected
    assert told.constraints == {"size": 0.5}
    assert study.ask().number == 1


@pytest.mark.parametrize("value", [math.nan, np.float32(math.nan)])
def test_what_optuna_calls_a_failure_is_not_told(value: float) -> None:
    study = optuna.create_study()
    with TrialRun(study.ask()) as run:
        run.finish(value)
    assert known_outcome(study, study.trials[0]) is None


def test_the_same_weights_are_kept_once(tmp_path: Path) -> None:
    """A worker that is killed between keeping them and saying that it was finished."""
    study = optuna.create_study(study_name="s", direction="maximize")
    first = study.ask()
    run = TrialRun(first, tmp_path)
    keep_weights(ArtifactFolder(tmp_path), first, [1.0], {"w": torch.ones(1)}, keep=1)
    run = TrialRun(retry(study, first), tmp_path)
    run.finish(1.0, {"w": torch.ones(1)}, keep=1)
    assert kept_trials(study) == [1]
    assert load_weights(tmp_path, study, 1)["w"].item() == 1.0


@pytest.mark.parametrize(("error", "reason"), [(KeyError(), "KeyError"), (OSError("a"), "a")])
def test_an_error_says_why(error: Exception, reason: str) -> None:
    study = optuna.create_study()
    with pytest.raises(type(error)), TrialRun(study.ask()):
        raise error
    assert study.trials[0].user_attrs == {"stopped_because": reason}


def test_an_error_keeps_the_checkpoint(tmp_path: Path) -> None:
    def objective(trial: optuna.Trial) -> float:
        with TrialRun(trial, tmp_path) as run:
            run.checkpoint({})
            raise RuntimeError("out of memory")

    study = optuna.create_study()
    study.optimize(objective, n_trials=1, catch=RuntimeError)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]
    assert checkpoints(tmp_path) == ["trial-0.safetensors"]


@pytest.mark.parametrize("artifacts", [None, "files"])
def test_a_trial_without_a_study_just_trains(
    tmp_path: Path, artifacts: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    folder = None if artifacts is None else tmp_path / artifacts
    trial = FixedTrial({"x": 1})
    with caplog.at_level(logging.WARNING), TrialRun(trial, folder) as run:
        assert run.restore() is None
        run.report(1.0, 0)
        run.log(size=3)
        run.checkpoint({"epoch": 0})
        assert run.publish("a.txt", "a") is None
        run.finish(1.0, {"w": torch.zeros(1)})
    assert trial.user_attrs == {"size": 3} and run.curve == {0: 1.0}
    assert caplog.text == "" and list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}")
    with TrialRun(study.ask()) as run:
        run.report(1.0, 0)
        run.checkpoint({"epoch": 0})
        assert run.restore() is None and run.publish("a.txt", "a") is None
        run.finish(1.0, {"w": torch.zeros(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is no folder"):
        TrialRun(optuna.create_study().ask(), tmp_path / "file")
    with pytest.raises(ValueError, match="epoch=-1 must not be negative"):
        TrialRun(optuna.create_study().ask()).report(1.0, -1)


def test_non_finite_values_reach_the_dashboard_as_valid_json(tmp_path: Path) -> None:
    optuna_dashboard = pytest.importorskip("optuna_dashboard")
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    run = TrialRun(study.ask())
    run.log(loss=math.nan, size=math.inf)
    run.report(math.nan, 0)
    status, body = get(optuna_dashboard.wsgi(storage), f"/api/studies/{study._study_id}")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    attrs = json.loads(body, parse_constant=refuse)["trials"][0]["user_attrs"]
    assert status == "200 OK"
    assert {attr["key"]: attr["value"] for attr in attrs}["loss"] == "nan"


def get(app: Any, path: str) -> tuple[str, bytes]:
    """Ask a WSGI application for a page, without a socket."""
    from wsgiref.util import setup_testing_defaults

    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    status = []
    body = app(environ, lambda line, headers, error=None: status.append(line))
    return status[0], b"".join(body)


@pytest.mark.parametrize(
    "said", ["s/../../../../home/model", "0", -1, 1, 7, 0.0, True, None, [0], {"a": 0}]
)
def test_what_a_storage_says_of_the_origin_chooses_no_file(
    tmp_path: Path, said: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Trial 0 is of another run, 7 is not there, and the rest are no numbers of trials."""
    study = optuna.create_study(study_name="s")
    TrialRun(study.ask(), tmp_path).checkpoint({"epoch": 1})
    trial = study.ask()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    study._storage.set_trial_system_attr(trial._trial_id, "failed_trial", said)
    with TrialRun(trial, tmp_path) as run:
        assert run.origin == 1
        assert run.restore() is None
        run.checkpoint({"epoch": 5})
        run.finish(0.5)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert ("is none that it can go on with" in caplog.text) == (said is True or said != 1)


def test_an_origin_of_another_run_is_no_origin(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="s")
    TrialRun(study.ask(), tmp_path).checkpoint({"epoch": 1})
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, "failed_trial", 0)
    assert TrialRun(trial, tmp_path).origin == 1


def test_an_origin_that_was_killed_before_it_began_is_one(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="s")
    second = retry(study, study.ask())
    assert TrialRun(second, tmp_path).origin == 0
    assert TrialRun(retry(study, second), tmp_path).origin == 0
