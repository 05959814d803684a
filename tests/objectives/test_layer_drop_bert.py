"""Whole searches over the layers of a small BERT that learns a small task."""

from __future__ import annotations

import importlib
import importlib.util
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.study import StudyDirection
from optuna.trial import FixedTrial, TrialState
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DistilBertConfig,
    ElectraConfig,
    RobertaConfig,
    pipeline,
)

from optuna_nas import BananasSampler
from optuna_nas.data import TextData
from optuna_nas.networks import thin
from optuna_nas.objectives import LayerDropBert
from optuna_nas.objectives.layer_drop_bert.fine_tuning import FineTuning
from optuna_nas.trials import load_weights

tiny_bert = importlib.import_module("tiny_bert")
SMALL: dict[str, Any] = tiny_bert.SMALL
reviews: Callable[..., TextData] = tiny_bert.reviews
save_model: Callable[..., Path] = tiny_bert.save_model

Make = Callable[..., LayerDropBert]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def data() -> TextData:
    return reviews()


@pytest.fixture
def make(model: Path, data: TextData) -> Make:
    """Make an objective whose trainings take a fraction of a second."""

    def build(**options: Any) -> LayerDropBert:
        settings: dict[str, Any] = {
            "model": model,
            "data": data,
            "epochs": 1,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "max_length": 24,
            "artifacts": None,
        }
        return LayerDropBert(**settings | options)

    return build


def run(objective: LayerDropBert, text: str) -> tuple[Any, dict[str, Any]]:
    """The value and the user attributes of one training outside of a study."""
    trial = FixedTrial(objective.space.parse(text).params)
    return objective(trial), trial.user_attrs


def test_a_search_learns_and_prefers_few_layers(make: Make, tmp_path: Path) -> None:
    objective = make(
        epochs=8, evaluations_per_epoch=1, artifacts=tmp_path / "files", parameter_weight=0.2
    )
    study = optuna.create_study(
        direction="maximize",
        sampler=BananasSampler(seed=0, n_startup_trials=3),
        pruner=optuna.pruners.NopPruner(),
    )
    study.optimize(objective, n_trials=5)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 5
    assert len({t.user_attrs["architecture"] for t in study.trials}) == 5
    full = objective.build(objective.space.parse("1111"))
    for trial in study.trials:
        found, attributes = objective.space.architecture(trial.params), trial.user_attrs
        assert attributes["kept_layers"] == list(objective.space.kept(found))
        size = sum(p.numel() for p in objective.build(found).parameters())
        assert attributes["parameters"] == size
        share = size / sum(p.numel() for p in full.parameters())
        assert trial.value == attributes["validation_accuracy"] - 0.2 * share
        assert list(trial.intermediate_values) == list(range(8))  # one for each epoch
        assert trial.intermediate_values[7] == trial.value
        assert attributes["latency"] > 0
        assert attributes["speedup"] > 0.2  # side by side with the full model, on a busy machine
        assert attributes["seconds"] > 0
        assert 0 <= attributes["test_accuracy"] <= 1
        names = {m.filename for m in get_all_artifact_meta(trial, storage=study._storage)}
        assert names == {"layers.svg", "learning_curve.svg"}
    best = study.best_trial.user_attrs
    assert best["validation_accuracy"] >= 0.9
    assert best["test_accuracy"] >= 0.9
    assert len(best["kept_layers"]) < 4
    assert not list((tmp_path / "files" / "checkpoints").rglob("*.safetensors"))
    assert len(list((tmp_path / "files" / "weights").rglob("*.safetensors"))) == 3


def test_the_same_seed_gives_the_same_value(make: Make) -> None:
    first, second, other = (run(make(seed=seed), "0101") for seed in (3, 3, 4))
    assert first[0] == second[0]
    assert make(seed=3)._pretrained.digest != make(seed=4)._pretrained.digest  # the new head
    assert other[1]["parameters"] == first[1]["parameters"]


def test_foreign_masks_are_repaired(make: Make) -> None:
    objective = make(max_layers=2)
    trial = FixedTrial(dict.fromkeys(objective.space.distributions, True))
    objective(trial)
    assert trial.user_attrs["architecture"].count("1") == 2
    assert objective.evaluate(trial.params) == objective.evaluate(
        objective.space.parse(trial.user_attrs["architecture"]).params
    )


def test_trials_leave_the_pretrained_model_and_the_process_alone(make: Make) -> None:
    objective = make()
    before = {n: t.clone() for n, t in objective._pretrained.model.state_dict().items()}
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    states = random.getstate(), torch.get_rng_state()
    values = [run(objective, "1010")[0] for _ in range(2)]
    assert values[0] == values[1]  # the second did not start where the first ended
    after = objective._pretrained.model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert random.getstate() == states[0]
    assert str(np.random.get_state()) == str(numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[1])


def test_a_trial_begins_with_the_pretrained_weights(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = make()
    begun: list[dict[str, torch.Tensor]] = []

    def begin(self: FineTuning, *arguments: Any) -> float:
        begun.append({n: t.clone() for n, t in self._model.state_dict().items()})
        return 0.5

    monkeypatch.setattr(FineTuning, "run", begin)
    run(objective, "0110")
    expected = thin(objective._pretrained.model, [1, 2]).state_dict()
    assert list(begun[0]) == list(expected)
    assert all(torch.equal(begun[0][name], tensor) for name, tensor in expected.items())


def test_nothing_is_printed(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    run(make(), "1111")
    assert capfd.readouterr() == ("", "")


def test_a_pruner_stops_bad_trials_early(make: Make) -> None:
    objective = make(evaluations_per_epoch=4)
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=2.0)
    )
    study.optimize(objective, n_trials=1)
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]
    assert "test_accuracy" not in trial.user_attrs
    assert trial.user_attrs["parameters"] > 0


def test_several_objectives(make: Make, tmp_path: Path) -> None:
    objective = make(goals=("accuracy", "parameters", "speedup"), artifacts=tmp_path)
    assert objective.metric_names == ("accuracy", "parameters", "speedup")
    higher, lower = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    assert objective.directions == (higher, lower, higher)
    study = optuna.create_study(
        directions=objective.directions,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.ThresholdPruner(lower=2.0),  # Optuna does not ask it
    )
    study.optimize(objective, n_trials=3)
    for trial in study.trials:
        assert trial.state == TrialState.COMPLETE
        attributes = trial.user_attrs
        names = ("validation_accuracy", "parameters", "speedup")
        assert trial.values == [attributes[name] for name in names]
        assert [point[0] for point in attributes["learning_curve"]] == [0, 1]
    assert study.best_trials


def test_limits_are_constraints(make: Make) -> None:
    objective = make(limits={"parameters": 25_000, "latency": 1e6})
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    for text in ("1111", "0100"):
        study.enqueue_trial(objective.space.parse(text).params)
    study.optimize(objective, n_trials=2)
    large, small = study.trials
    assert large.constraints["parameters"] == large.user_attrs["parameters"] - 25_000 > 0
    assert small.constraints["parameters"] < 0
    assert small.constraints["latency"] < 0
    assert (large.state, small.state) == (TrialState.PRUNED, TrialState.COMPLETE)
    assert "seconds" not in large.user_attrs  # it was not fine-tuned
    assert study.best_trial.number == small.number


@pytest.mark.slow
def test_a_warm_start_is_made_once_and_inherited(make: Make, tmp_path: Path) -> None:
    objective = make(epochs=8, warm_start=True, artifacts=tmp_path)
    cold, warm = run(make(epochs=8), "1100"), run(objective, "1100")
    assert warm[1]["full_accuracy"] >= 0.7
    assert "full_accuracy" not in cold[1]
    assert len(list((tmp_path / "warm-starts").glob("*.safetensors"))) == 1
    inherited = objective._start.state_dict()
    before = objective._pretrained.model.state_dict()
    assert any(not torch.equal(inherited[name], before[name]) for name in before)

    # Another process reads the file, whatever it drops and optimises; nothing is trained again.
    other = make(epochs=8, warm_start=True, artifacts=tmp_path, max_layers=2, goals="accuracy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTuning, "run", None)
        again = other._start.state_dict()
    assert all(torch.equal(again[name], inherited[name]) for name in inherited)
    assert run(other, "1100")[1]["validation_accuracy"] == warm[1]["validation_accuracy"]

    assert make(warm_start=True, seed=1, artifacts=tmp_path)._warm.accuracy >= 0
    assert len(list((tmp_path / "warm-starts").glob("*.safetensors"))) == 2


@pytest.mark.slow
def test_a_damaged_warm_start_is_made_anew(make: Make, tmp_path: Path) -> None:
    options: dict[str, Any] = {"warm_start": True, "artifacts": tmp_path}
    first = make(**options)._warm
    [file] = (tmp_path / "warm-starts").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    second = make(**options)._warm
    assert second.accuracy == first.accuracy
    assert all(torch.equal(second.weights[n], tensor) for n, tensor in first.weights.items())


def test_a_training_that_diverges_is_pruned(make: Make) -> None:
    objective = make(learning_rate=1e30, gradient_clip=float("inf"))
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED
    assert "training loss of step" in trial.user_attrs["diverged"]


def test_a_last_step_that_breaks_the_weights(make: Make) -> None:
    steps = {"batch_size": 500, "evaluations_per_epoch": 1}  # one step, whose loss is finite
    objective = make(learning_rate=1e38, gradient_clip=float("inf"), **steps)
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["diverged"] == "outputs of the model are not finite"
    assert trial.intermediate_values == {}


def test_too_little_memory_names_what_to_lower(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    objective = make()
    monkeypatch.setattr("transformers.Trainer.training_step", allocate)
    with pytest.raises(RuntimeError, match=r"lower `batch_size` \(it is 8\), `max_length`.*20.00"):
        run(objective, "1111")


def test_an_exported_model_is_loaded_by_plain_transformers(
    make: Make, data: TextData, tmp_path: Path
) -> None:
    objective = make(epochs=2, artifacts=tmp_path / "files")
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    study.enqueue_trial(objective.space.parse("0101").params)
    study.optimize(objective, n_trials=1)
    weights = load_weights(tmp_path / "files", study, 0)
    found = objective.space.architecture(study.best_params)
    metrics = {"test_accuracy": study.best_trial.user_attrs["test_accuracy"], "loss": float("nan")}
    folder = objective.export_model(found, weights, tmp_path / "out", metrics=metrics)

    loaded = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert loaded.config.num_hidden_layers == 2
    assert loaded.config.id2label == {0: "bad", 1: "good"}
    trained = objective.build(found).eval()
    trained.load_state_dict(weights)
    inputs = tokenizer(list(data.test.texts), padding=True, return_tensors="pt")
    with torch.inference_mode():
        torch.testing.assert_close(loaded(**inputs).logits, trained(**inputs).logits)
    classify = pipeline("text-classification", model=loaded, tokenizer=tokenizer)
    said = [answer["label"] for answer in classify(list(data.test.texts))]
    right = np.mean(
        [s == data.class_names[i] for s, i in zip(said, data.test.labels, strict=True)]
    )
    assert right == pytest.approx(metrics["test_accuracy"])

    with pytest.raises(FileExistsError, match="choose another, or `overwrite`"):
        objective.export_model(found, weights, folder, metrics={})
    objective.export_model(found, weights, folder, metrics={}, overwrite=True)
    with pytest.raises(ValueError, match="give it the settings of the search"):
        objective.export_model(objective.space.parse("1111"), weights, tmp_path / "x", metrics={})


@pytest.mark.parametrize(
    "config",
    [
        RobertaConfig(**SMALL | {"max_position_embeddings": 40}, vocab_size=15, pad_token_id=0),
        DistilBertConfig(dim=32, n_layers=4, n_heads=2, hidden_dim=64, vocab_size=15),
        ElectraConfig(**SMALL, vocab_size=15, embedding_size=16),
    ],
    ids=lambda config: type(config).__name__,
)
def test_other_models(make: Make, tmp_path: Path, config: Any) -> None:
    objective = make(model=save_model(tmp_path / "m", config))
    assert objective.space.num_layers == 4
    full, few = run(objective, "1111")[1], run(objective, "1000")[1]
    assert full["parameters"] > few["parameters"]
    assert 0 < few["validation_accuracy"] <= 1


def test_settings_are_json_and_tell_what_matters(make: Make, data: TextData) -> None:
    first = make().settings()
    assert json.loads(json.dumps(first)) == first
    assert first["data"] == data.describe()
    assert first == make().settings()
    assert make(seed=1).settings()["weights"] != first["weights"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("optuna_nas.objectives.layer_drop_bert")]:
        monkeypatch.delitem(sys.modules, name)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "accelerate" else find(name)
    )
    message = r"LayerDropBert needs accelerate: pip install 'optuna-nas\[text\]"
    with pytest.raises(ImportError, match=message):
        importlib.import_module("optuna_nas.objectives.layer_drop_bert")


@pytest.mark.slow
def test_an_onnx_file_computes_what_the_model_does(make: Make, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    objective = make()
    found = objective.space.parse("0101")
    model = objective.build(found).eval()
    folder = objective.export_model(
        found, model.state_dict(), tmp_path / "out", metrics={}, onnx=True
    )
    run = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for texts in (["good"], ["the film was very good", "bad", "a very awful film the plot"]):
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            expected = model(**inputs).logits
        [logits] = run.run(["logits"], {name: t.numpy() for name, t in inputs.items()})
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4, rtol=0)
    assert all(value.shape == ["batch", "length"] for value in run.get_inputs())
    assert json.loads(run.get_modelmeta().custom_metadata_map["class_names"]) == ["bad", "good"]
    described = json.loads((folder / "optuna_nas.json").read_text())["onnx"]
    assert described["largest_difference"] <= 1e-4
