"""What a trial returns, stores and shows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from optuna_nas.data import ImageData, ImageSplit
from optuna_nas.networks import build_network, count_macs, count_parameters
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import Architecture, NASBench101Space, NASBench201Space
from optuna_nas.trials import load_weights

Small = Callable[..., CellCNN]


def new_study(**options: Any) -> optuna.Study:
    return optuna.create_study(study_name="cells", direction="maximize", **options)


def run_one(objective: CellCNN, architecture: Architecture, study: optuna.Study) -> FrozenTrial:
    """Run one trial of this architecture and return it as it was stored."""
    number = len(study.trials)
    study.enqueue_trial(architecture.params)
    study.optimize(objective, n_trials=1)
    return study.trials[number]


def test_a_network_learns_the_digits(digits: ImageData, good_cell: Architecture) -> None:
    objective = CellCNN(
        NASBench201Space(),
        digits,
        epochs=5,
        batch_size=32,
        channels=4,
        cells=1,
        artifacts=None,
    )
    started = time.process_time()
    assert objective.evaluate(good_cell.params) >= 0.9
    assert time.process_time() - started < 10


def test_the_value_is_the_share_of_validation_images_after_the_last_epoch(
    small: Small, good_cell: Architecture, tmp_path: Path
) -> None:
    study = new_study()
    trial = run_one(small(epochs=4), good_cell, study)
    assert trial.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == [0, 1, 2, 3]
    assert trial.value == trial.intermediate_values[3]
    images = 60 * trial.value
    assert images == pytest.approx(round(images)) and 0 <= trial.value <= 1


def test_what_a_trial_logs(small: Small, good_cell: Architecture, tmp_path: Path) -> None:
    started = time.perf_counter()
    trial = run_one(small(), good_cell, new_study())
    network = build_network(good_cell, num_classes=10, in_channels=1, channels=4, cells=1)
    attributes = dict(trial.user_attrs)
    assert attributes.pop("architecture") == str(good_cell)
    assert attributes.pop("parameters") == count_parameters(network) > 0
    assert attributes.pop("flops") == count_macs(network, (1, 8, 8)) > 0
    assert 0 < attributes.pop("seconds") < time.perf_counter() - started
    correct = 40 * attributes.pop("test_accuracy")
    assert correct == pytest.approx(round(correct)) and 0 <= correct <= 40
    assert attributes == {"validation_images": 60, "test_images": 40}


def test_what_a_trial_shows_and_keeps(
    small: Small, good_cell: Architecture, tmp_path: Path
) -> None:
    study = new_study(storage=f"sqlite:///{tmp_path / 'study.db'}")
    folder = tmp_path / "files"
    objective = small(artifacts=folder)
    trial = run_one(objective, good_cell, study)
    shown = {meta.filename: meta for meta in get_all_artifact_meta(trial, storage=study._storage)}
    assert set(shown) == {"cell.svg", "learning_curve.svg"}
    for meta in shown.values():
        assert meta.mimetype == "image/svg+xml"
        assert (folder / "files" / meta.artifact_id).read_text().startswith("<svg")
    curve = (folder / "files" / shown["learning_curve.svg"].artifact_id).read_text()
    assert "Trial 0" in curve

    network = objective.build(good_cell)
    network.load_state_dict(load_weights(folder, study, 0))
    network.eval()
    validation = objective.data.validation
    with torch.no_grad():
        found = network(validation.images).argmax(1) == validation.labels
    assert found.float().mean().item() == pytest.approx(trial.value)
    assert not list((folder / "checkpoints").rglob("*.safetensors"))


def test_without_a_folder_no_file_is_written(
    small: Small, good_cell: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = new_study()
    trial = run_one(small(artifacts=None), good_cell, study)
    assert trial.state == TrialState.COMPLETE
    assert list(tmp_path.iterdir()) == []


def test_seed_and_trial_number_decide_the_training(
    small: Small, good_cell: Architecture, tmp_path: Path
) -> None:
    def weights(folder: str, **options: int) -> list[dict[str, torch.Tensor]]:
        """The final weights of two trials of the same cell."""
        path = tmp_path / folder
        study, objective = new_study(), small(artifacts=path, epochs=2, **options)
        trials = [run_one(objective, good_cell, study) for _ in range(2)]
        values.append([trial.value for trial in trials])
        return [load_weights(path, study, number) for number in (0, 1)]

    def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(tensor, b[name]) for name, tensor in a.items())

    values: list[list[float | None]] = []
    first = weights("first")
    torch.manual_seed(123)  # the global generator has no say
    again, other_seed = weights("again"), weights("other", seed=1)
    assert values[0] == values[1]
    assert same(first[0], again[0]) and same(first[1], again[1])
    assert not same(first[0], first[1])
    assert not same(first[0], other_seed[0]) and not same(first[1], other_seed[0])


def test_neither_making_nor_calling_it_touches_the_global_generators(
    small: Small, good_cell: Architecture
) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    objective = small(flip=True, crop_padding=2, cutout=3)
    objective.evaluate(good_cell.params)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # type: ignore[index]  # noqa: NPY002


def test_nothing_is_searched_on_the_test_images(
    small: Small, few_digits: ImageData, good_cell: Architecture, tmp_path: Path
) -> None:
    test = few_digits.test
    others = {
        "labels": ImageSplit(test.images, (test.labels + 1) % 10),
        "images": ImageSplit(test.images.flip(0) * 3 - 1, test.labels),
        "number": ImageSplit(test.images[:7], test.labels[:7]),
    }
    expected = run_one(small(), good_cell, new_study())
    for change, split in others.items():
        study = new_study()
        trial = run_one(small(data=replace(few_digits, test=split)), good_cell, study)
        assert trial.intermediate_values == expected.intermediate_values, change
    swapped = replace(few_digits, test=others["labels"])
    study = new_study()
    accuracy = run_one(small(data=swapped), good_cell, study).user_attrs["test_accuracy"]
    assert accuracy != expected.user_attrs["test_accuracy"]


def test_validation_images_are_not_trained_on(
    small: Small, few_digits: ImageData, good_cell: Architecture, tmp_path: Path
) -> None:
    validation = few_digits.validation
    labels = (validation.labels + 1) % 10
    wrong = replace(few_digits, validation=ImageSplit(validation.images, labels))
    found = []
    for number, data in enumerate((few_digits, wrong)):
        folder = tmp_path / str(number)
        study = new_study()
        trial = run_one(small(data=data, artifacts=folder), good_cell, study)
        found.append((trial.intermediate_values, load_weights(folder, study, 0)))
    (values, weights), (wrong_values, wrong_weights) = found
    assert values != wrong_values
    assert all(torch.equal(tensor, wrong_weights[name]) for name, tensor in weights.items())


class StopAt(optuna.pruners.BasePruner):
    """Prunes at an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return trial.last_step == self.epoch


def test_a_pruner_stops_the_training(
    small: Small, good_cell: Architecture, tmp_path: Path
) -> None:
    study = new_study(pruner=StopAt(1))
    trial = run_one(small(epochs=5, artifacts=tmp_path / "files"), good_cell, study)
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0, 1]
    assert trial.value == trial.intermediate_values[1]
    assert "test_accuracy" not in trial.user_attrs
    names = {m.filename for m in get_all_artifact_meta(trial, storage=study._storage)}
    assert names == {"cell.svg", "learning_curve.svg"}
    assert not list((tmp_path / "files").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "pruner",
    [
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        optuna.pruners.HyperbandPruner(min_resource=1, max_resource=3, reduction_factor=2),
        optuna.pruners.MedianPruner(n_startup_trials=1),
    ],
)
def test_optunas_pruners_and_samplers_work_with_it(
    small: Small, tmp_path: Path, pruner: optuna.pruners.BasePruner
) -> None:
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
    study = new_study(sampler=sampler, pruner=pruner)
    study.optimize(small(epochs=3), n_trials=5)
    states = [trial.state for trial in study.trials]
    assert set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert states.count(TrialState.COMPLETE) >= 1
    space = NASBench201Space()
    for trial in study.trials:
        assert trial.user_attrs["architecture"] == str(space.architecture(trial.params))


def test_outside_of_a_study(small: Small, good_cell: Architecture) -> None:
    objective = small()
    value = objective.evaluate(good_cell.params)
    fixed = FixedTrial(good_cell.params, number=0)
    assert objective(fixed) == value
    assert fixed.user_attrs["architecture"] == str(good_cell)
    other = objective(FixedTrial(good_cell.params, number=4))
    assert 0 <= other <= 1
    trial = run_one(objective, good_cell, new_study())
    assert trial.value == value
    with pytest.raises(ValueError, match="lacks 'edge_0_1'"):
        objective.evaluate({})
    with pytest.raises(ValueError, match=r"`params\['edge_0_1'\]` is 'conv_7x7'"):
        objective.evaluate({**good_cell.params, "edge_0_1": "conv_7x7"})


def test_a_training_that_diverges_is_pruned_and_says_so(
    small: Small, good_cell: Architecture, tmp_path: Path
) -> None:
    objective = small(learning_rate=1e6, artifacts=tmp_path / "files")
    study = new_study()
    trial = run_one(objective, good_cell, study)
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["diverged"] == "the mean training loss of the epoch is nan"
    assert trial.intermediate_values == {}
    assert trial.value is None
    # Samplers and the next trial are not disturbed by a pruned trial without a value.
    assert run_one(small(), good_cell, study).state == TrialState.COMPLETE
    with pytest.raises(optuna.TrialPruned, match="The training diverged: the mean training loss"):
        objective.evaluate(good_cell.params)


def test_a_large_learning_rate_that_stays_finite_is_only_a_bad_trial(
    small: Small, good_cell: Architecture
) -> None:
    value = small(learning_rate=30.0).evaluate(good_cell.params)
    assert math.isfinite(value) and 0 <= value <= 1


def test_a_cell_that_connects_nothing_learns_nothing(small: Small, few_digits: ImageData) -> None:
    space = NASBench201Space()
    dead = space.architecture(dict.fromkeys(space.distributions, "none"))
    study = new_study()
    trial = run_one(small(), dead, study)
    assert trial.state == TrialState.COMPLETE
    # The same logits for all images: the accuracy is the share of one class.
    labels = few_digits.validation.labels
    shares = {count / len(labels) for count in torch.bincount(labels, minlength=10).tolist()}
    assert trial.value in shares


def test_what_is_no_architecture_is_pruned_before_it_is_trained(small: Small) -> None:
    space = NASBench101Space(max_vertices=4, max_edges=4)
    objective = small(space=space, epochs=1)
    study = new_study()
    params = {name: d.choices[0] for name, d in space.distributions.items()}  # type: ignore[attr-defined]
    study.enqueue_trial(params)  # no edges at all
    study.enqueue_trial({n: True if n.startswith("edge") else v for n, v in params.items()})
    study.optimize(objective, n_trials=2)
    unconnected, crowded = study.trials
    assert unconnected.state == crowded.state == TrialState.PRUNED
    reason = "optuna_nas:invalid"
    assert unconnected.user_attrs == {reason: "the output is not connected to the input"}
    assert crowded.user_attrs == {reason: "the cell has 6 edges; allowed are 4"}


def test_what_it_says_of_itself(small: Small) -> None:
    objective = small()
    assert objective.directions == (optuna.study.StudyDirection.MAXIMIZE,)
    assert objective.metric_names == ("validation accuracy",)
    assert objective.search_space == NASBench201Space().distributions
    grey = {"flip": False, "crop_padding": 1, "cutout": 0}  # images of 8x8
    assert objective.task.settings == grey
    assert objective.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_study_that_minimises_is_refused_before_anything_is_trained(
    digits: ImageData,
) -> None:
    objective = CellCNN(
        NASBench201Space(), digits, epochs=1, channels=4, cells=1, device="cpu", artifacts=None
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    with pytest.raises(ValueError, match=r"\['minimize'\].*direction='maximize'"):
        study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs == {}
