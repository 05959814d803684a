"""An interrupted fine-tuning goes on as if it had never stopped, to the last bit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState
from transformers import Trainer

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.data import TextData
from optuna_nas.objectives import LayerDropBert
from optuna_nas.trials import load_weights, recover_interrupted

tiny_bert = importlib.import_module("tiny_bert")
reviews: Callable[..., TextData] = tiny_bert.reviews
save_model: Callable[..., Path] = tiny_bert.save_model

STEPS = 6  # of an epoch: 48 texts in batches of 8
EVALUATIONS = 4  # of a trial: two for each of two epochs


def make_objective(folder: Path, **options: Any) -> LayerDropBert:
    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "max_length": 24,
        "device": "cpu",
        "artifacts": folder / "files",
    }
    data = reviews(train=48, validation=20, test=10)
    return LayerDropBert(folder.parent / "model", data, **settings | options)


def search(folder: Path, **options: Any) -> None:
    """Run one trial, or go on with the one that was interrupted."""
    objective = make_objective(folder, **options)
    study = optuna.create_study(
        study_name="layers",
        storage=f"sqlite:///{folder / 'study.db'}",
        directions=objective.directions,
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    recover_interrupted(study)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(objective.space.parse("1101").params)
    study.optimize(objective, n_trials=1)


@contextmanager
def broken_at(step: int, error: BaseException) -> Iterator[None]:
    """Raise in the middle of a training, in this step of this process."""
    steps = iter(range(10**6))
    original = Trainer.training_step

    def raising(*arguments: Any, **options: Any) -> Any:
        if next(steps) == step:
            raise error
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "training_step", raising)
        yield


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="layers", storage=f"sqlite:///{folder / 'study.db'}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, and the uninterrupted search in `whole`."""
    folder = tmp_path_factory.mktemp("resuming")
    save_model(folder / "model", initializer_range=0.2)
    (folder / "whole").mkdir()
    search(folder / "whole")
    return folder


@pytest.fixture
def interrupted(folder: Path, request: pytest.FixtureRequest) -> Path:
    own: Path = folder / request.node.name.replace("[", "-").replace("]", "")
    own.mkdir()
    return own


def assert_same_result(folder: Path, number: int, whole: Path) -> None:
    study, other = load(folder), load(whole)
    trial, expected = study.trials[number], other.trials[0]
    assert trial.state == expected.state == TrialState.COMPLETE
    assert trial.params == expected.params
    assert trial.values == expected.values
    assert trial.intermediate_values == expected.intermediate_values
    for name in ("architecture", "parameters", "validation_accuracy", "test_accuracy"):
        assert trial.user_attrs[name] == expected.user_attrs[name]
    weights = load_weights(folder / "files", study, number)
    reference = load_weights(whole / "files", other, 0)
    assert list(weights) == list(reference)
    for name, weight in weights.items():
        assert torch.equal(weight, reference[name]), name
    assert not list((folder / "files" / "checkpoints").rglob("*.safetensors"))


def test_the_uninterrupted_one_learns_something(folder: Path) -> None:
    trial = load(folder / "whole").trials[0]
    assert list(trial.intermediate_values) == list(range(EVALUATIONS))
    assert len(set(trial.intermediate_values.values())) > 1


@pytest.mark.parametrize(
    "step", [STEPS + 2, *(pytest.param(step, marks=pytest.mark.slow) for step in (3, STEPS, 11))]
)
def test_ctrl_c(folder: Path, interrupted: Path, step: int) -> None:
    with pytest.raises(KeyboardInterrupt), broken_at(step, KeyboardInterrupt()):
        search(interrupted)
    study = load(interrupted)
    assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]
    known = list(study.trials[0].intermediate_values)
    assert known == list(range(step // 3))
    first = study.trials[0].user_attrs["seconds"]

    search(interrupted)
    trial = load(interrupted).trials[1]
    assert trial.user_attrs["resumed_from_epoch"] == known[-1]
    assert trial.user_attrs["seconds"] > first
    assert trial.user_attrs["latency"] == study.trials[0].user_attrs["latency"]
    assert_same_result(interrupted, 1, folder / "whole")


@pytest.mark.slow
def test_ctrl_c_twice(folder: Path, interrupted: Path) -> None:
    for step in (4, 4):
        with pytest.raises(KeyboardInterrupt), broken_at(step, KeyboardInterrupt()):
            search(interrupted)
    search(interrupted)
    trials = load(interrupted).trials
    assert [t.user_attrs.get("resumed_from_epoch") for t in trials] == [None, 0, 1]
    assert_same_result(interrupted, 2, folder / "whole")


@pytest.mark.slow
def test_after_the_last_evaluation_nothing_is_trained_again(
    folder: Path, interrupted: Path
) -> None:
    def interrupt(*arguments: Any) -> float:
        raise KeyboardInterrupt

    name = "optuna_nas.objectives.layer_drop_bert.fine_tuning.FineTuning.accuracy_on_test"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(name, interrupt)
        search(interrupted)
    with broken_at(0, AssertionError("trained again")):
        search(interrupted)
    assert_same_result(interrupted, 1, folder / "whole")


@pytest.mark.slow
def test_several_objectives_are_resumed_too(folder: Path, interrupted: Path) -> None:
    options: dict[str, Any] = {"goals": ("accuracy", "parameters")}
    with pytest.raises(KeyboardInterrupt), broken_at(STEPS + 1, KeyboardInterrupt()):
        search(interrupted, **options)
    search(interrupted, **options)
    trial, whole = load(interrupted).trials[1], load(folder / "whole").trials[0]
    assert trial.user_attrs["resumed_from_epoch"] == 1
    assert trial.values[0] == whole.user_attrs["validation_accuracy"]
    assert len(trial.user_attrs["learning_curve"]) == EVALUATIONS


def test_an_interrupted_warm_start_goes_on(folder: Path, interrupted: Path) -> None:
    whole = make_objective(folder / "warm", warm_start=True)._warm
    objective = make_objective(interrupted, warm_start=True)
    with pytest.raises(KeyboardInterrupt), broken_at(STEPS + 3, KeyboardInterrupt()):
        search(interrupted, warm_start=True)
    [unfinished] = (interrupted / "files" / "warm-starts").glob("*.safetensors")
    assert "unfinished" in unfinished.name
    with broken_at(4, AssertionError("trained too much")):
        found = objective._warm
    assert found.accuracy == whole.accuracy
    assert all(torch.equal(found.weights[n], tensor) for n, tensor in whole.weights.items())
    [finished] = (interrupted / "files" / "warm-starts").glob("*.safetensors")
    assert finished != unfinished


def test_an_error_of_its_own_keeps_the_checkpoint(folder: Path, interrupted: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), broken_at(8, RuntimeError("broken")):
        search(interrupted)
    assert [t.state.name for t in load(interrupted).trials] == ["FAIL"]
    assert ArtifactFolder(interrupted / "files").checkpoint("layers", 0).exists()


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_is_refused(folder: Path, interrupted: Path) -> None:
    with pytest.raises(KeyboardInterrupt), broken_at(STEPS, KeyboardInterrupt()):
        search(interrupted)
    search(interrupted, learning_rate=2e-3)
    trial = load(interrupted).trials[1]
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs.get("resumed_from_epoch") is None
    again = make_objective(interrupted, learning_rate=2e-3, artifacts=None)
    assert trial.value == again.evaluate(trial.params)
