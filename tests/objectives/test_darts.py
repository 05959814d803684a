"""A whole differentiable search as one trial."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from optuna_nas.data import ImageData
from optuna_nas.methods import GumbelSoftmax
from optuna_nas.methods.engine import Engine
from optuna_nas.objectives import CellCNN, Darts, derived_params
from optuna_nas.spaces import CellSpace, DARTSSpace, NASBench101Space, NASBench201Space
from optuna_nas.trials.divergence import DivergedError

Make = Callable[..., Darts]


@pytest.fixture
def small(few_digits: ImageData) -> Make:
    """Make an objective whose searches take a fraction of a second."""

    def make(**options: Any) -> Darts:
        settings: dict[str, Any] = {
            "space": NASBench201Space(),
            "data": few_digits,
            "epochs": 2,
            "batch_size": 32,
            "channels": 2,
            "cells": 1,
            "artifacts": None,
        }
        return Darts(**settings | options)

    return make


def run(objective: Darts, n_trials: int = 1, **options: Any) -> optuna.Study:
    study = optuna.create_study(direction="maximize", **options)
    study.optimize(objective, n_trials=n_trials)
    return study


def test_one_trial(small: Make, tmp_path: Path) -> None:
    objective = small(artifacts=tmp_path, architecture_learning_rate=0.1)
    study = run(objective)
    [trial] = study.trials
    assert list(trial.intermediate_values) == [0, 1]
    assert trial.value == trial.intermediate_values[1]
    assert trial.params == {}
    architecture = objective.space.architecture(derived_params(trial))
    assert trial.user_attrs["architecture"] == str(architecture)
    assert trial.user_attrs["supernet_parameters"] == sum(
        p.numel() for p in objective.build().parameters()
    )
    assert trial.user_attrs["seconds"] > 0

    metas = get_all_artifact_meta(trial, storage=study._storage)
    files = {m.filename: (tmp_path / "files" / m.artifact_id).read_bytes() for m in metas}
    assert set(files) == {
        "cell.svg",
        "learning_curve.svg",
        "trajectory.svg",
        "trajectory.npz",
        "derived_cells.csv",
    }
    rows = list(csv.reader(files["derived_cells.csv"].decode().splitlines()))
    assert [row[0] for row in rows] == ["epochs", "0", "1", "2"]
    assert float(rows[2][1]) == trial.intermediate_values[0]
    assert rows[-1][2] == str(architecture)
    picture = files["trajectory.svg"].decode()
    assert picture.count("<polyline") == 6 * 5
    assert "0 → 1" in picture and "skip_connect" in picture
    with np.load(io.BytesIO(files["trajectory.npz"])) as arrays:
        assert arrays.files == ["cell"] and arrays["cell"].shape == (3, 6, 5)
        np.testing.assert_allclose(arrays["cell"].sum(axis=2), 1.0, rtol=1e-6)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_derived_architecture_is_trained_by_another_study(
    small: Make, few_digits: ImageData
) -> None:
    objective = small(epochs=1)
    params = derived_params(run(objective).best_trial)
    training = CellCNN(objective.space, few_digits, epochs=1, channels=2, cells=1, artifacts=None)
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(params)
    study.optimize(training, n_trials=1)
    assert study.best_params == params


def test_the_darts_space(few_digits: ImageData) -> None:
    space = DARTSSpace()
    objective = Darts(
        space, few_digits, epochs=1, batch_size=65, channels=2, cells=3, artifacts=None
    )
    trial = run(objective).best_trial
    genotype = space.genotype(space.architecture(derived_params(trial)))
    assert all(name != "none" for name, _ in genotype.normal + genotype.reduce)


def test_same_seed_same_search(small: Make) -> None:
    options = {"architecture_learning_rate": 0.1, "epochs": 1}
    first, second, other = (
        run(small(seed=seed, **options)).trials[0].user_attrs for seed in (1, 1, 2)
    )
    assert first["derived_params"] == second["derived_params"] != other["derived_params"]


def test_trials_of_one_study_differ(small: Make) -> None:
    first, second = run(small(architecture_learning_rate=0.1), 2).trials
    assert first.user_attrs["derived_params"] != second.user_attrs["derived_params"]


def test_settings_can_be_suggested(small: Make) -> None:
    objective = small(
        epochs=1,
        order=CategoricalDistribution([1, 2]),
        xi=FloatDistribution(0.01, 0.1),
        learning_rate=FloatDistribution(0.01, 0.1, log=True),
    )
    assert set(objective.search_space) == {"order", "xi", "learning_rate"}
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"order": 1, "learning_rate": 0.03})
    study.enqueue_trial({"order": 2, "learning_rate": 0.02, "xi": 0.05})
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.params == {"order": 1, "learning_rate": 0.03}  # xi has no part in it
    assert second.params == {"order": 2, "learning_rate": 0.02, "xi": 0.05}


def test_suggested_and_given_settings_are_the_same_search(small: Make) -> None:
    given = small(order=2, xi=0.05).evaluate({})
    suggested = small(order=IntDistribution(1, 2), xi=FloatDistribution(0.0001, 1.0))
    assert suggested.evaluate({"order": 2, "xi": 0.05}) == given


class TestEveryArgumentMatters:
    """Each setting changes what an epoch leaves."""

    @pytest.fixture(scope="class")
    @staticmethod
    def plain(few_digits: ImageData) -> dict[str, Any]:
        settings: dict[str, Any] = {"epochs": 1, "batch_size": 32, "channels": 2, "cells": 1}
        return final_state(Darts(NASBench201Space(), few_digits, artifacts=None, **settings))

    @pytest.mark.parametrize(
        "change",
        [
            {"order": 2},
            {"order": 2, "xi": 0.5},
            {"learning_rate": 0.1},
            {"momentum": 0.5},
            {"weight_decay": 0.1},
            {"gradient_clip": 0.01},
            {"architecture_learning_rate": 0.1},
            {"architecture_weight_decay": 0.5},
            {"relaxation": GumbelSoftmax()},
            {"edge_weights": True},
            {"held_out": 0.3},
            {"flip": True},
            {"crop_padding": 0},
            {"cutout": 3},
            {"batch_size": 16},
            {"channels": 3},
            {"cells": 2},
            {"seed": 5},
        ],
        ids=str,
    )
    def test_change(self, small: Make, plain: dict[str, Any], change: dict[str, Any]) -> None:
        changed = final_state(small(epochs=1, **change))
        places = [("architecture", "operations.cell"), ("supernet", "classifier.linear.weight")]
        assert not all(torch.equal(plain[a][b], changed[a][b]) for a, b in places)

    def test_no_change(self, small: Make, plain: dict[str, Any]) -> None:
        again = final_state(small(epochs=1))
        for part in ("architecture", "supernet"):
            assert all(torch.equal(again[part][name], t) for name, t in plain[part].items())


def final_state(objective: Darts) -> dict[str, Any]:
    """What a trainer has in the end."""
    found: list[dict[str, Any]] = []
    train_epoch = Engine.train_epoch

    def recording(self: Engine) -> float:
        loss = train_epoch(self)
        found.append(self.state())
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "train_epoch", recording)
        objective.evaluate({})
    return found[-1]


def test_the_parts_of_the_training_images_are_disjoint_and_stratified(
    digits: ImageData,
) -> None:
    objective = Darts(
        NASBench201Space(), digits, channels=2, cells=1, held_out=0.25, artifacts=None
    )
    train, held_out = objective._parts
    assert (len(train), len(held_out)) == (862, 288)
    assert objective._on_device.validation is digits.validation
    counts = torch.bincount(held_out.labels)
    assert int(counts.min()) >= 26 and int(counts.max()) <= 31
    images = torch.cat([train.images, held_out.images]).flatten(1)
    whole = digits.train.images.flatten(1)
    assert torch.equal(images.sum(1).sort().values, whole.sum(1).sort().values)


def test_a_pruner_stops_it_and_what_it_found_is_kept(small: Make, tmp_path: Path) -> None:
    class AfterTheFirst(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return True

    study = run(small(artifacts=tmp_path), pruner=AfterTheFirst())
    [trial] = study.trials
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]
    assert derived_params(trial)
    assert len(get_all_artifact_meta(trial, storage=study._storage)) == 5


def test_a_diverging_search_is_pruned(small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(self: Engine) -> float:
        raise DivergedError("the mean training loss of the epoch is nan")

    monkeypatch.setattr(Engine, "train_epoch", diverging)
    [trial] = run(small()).trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["diverged"] == "the mean training loss of the epoch is nan"
    with pytest.raises(ValueError, match="trial 0, which has derived no architecture"):
        derived_params(trial)


@pytest.mark.filterwarnings("ignore:.*nan:UserWarning")
def test_divergence_is_noticed(small: Make) -> None:
    [trial] = run(small(learning_rate=1e30, gradient_clip=float("inf"))).trials
    assert trial.state == TrialState.PRUNED
    assert "not finite" in trial.user_attrs["diverged"] or "nan" in trial.user_attrs["diverged"]


def test_a_study_that_minimises_is_refused(small: Make) -> None:
    study = optuna.create_study(direction="minimize")
    with pytest.raises(ValueError, match="direction='maximize'"):
        study.optimize(small(), n_trials=1)


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("epochs", 0, "an integer of 1 or more"),
        ("order", 3, "an integer from 1 to 2"),
        ("order", 1.0, "an integer from 1 to 2"),
        ("order", CategoricalDistribution([1, 3]), "an integer from 1 to 2"),
        ("batch_size", 1, "an integer of 2 or more"),
        ("channels", 0, "an integer of 1 or more"),
        ("learning_rate", 0.0, "positive numbers"),
        ("learning_rate", 1e-4, "`final_learning_rate` (0.001) or more"),
        ("learning_rate", FloatDistribution(1e-5, 0.1), "`final_learning_rate` (0.001) or more"),
        ("final_learning_rate", 0, "positive numbers"),
        ("momentum", 1.0, "numbers from 0 to below 1"),
        ("weight_decay", -1.0, "numbers from 0 to below 1"),
        ("weight_decay", FloatDistribution(0.0, 1.0), "numbers from 0 to below 1"),
        ("gradient_clip", 0.0, "positive numbers"),
        ("architecture_learning_rate", 0.0, "positive numbers"),
        ("architecture_weight_decay", 1.0, "numbers from 0 to below 1"),
        ("held_out", 1.0, "numbers from 0 to below 1"),
        ("held_out", 0.0, "each part needs 2 or more"),
        ("crop_padding", 8, "an integer from 0 to 7"),
        ("cutout", 9, "an integer from 0 to 8"),
        ("seed", -1, "an integer from 0 to 2147483647"),
        ("device", "abacus", "None, 'cpu' and the devices that torch finds"),
        ("xi", 0.1, "`order=2`"),
    ],
)
def test_wrong_arguments(small: Make, argument: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{argument}` is {re.escape(repr(value))}[,;]") as e:
        small(**{argument: value})
    assert allowed in str(e.value)


def test_wrong_xi(small: Make) -> None:
    with pytest.raises(ValueError, match=r"^`xi` is 0; allowed are positive numbers"):
        small(order=2, xi=0)


def test_spaces_without_a_supernet(small: Make) -> None:
    with pytest.raises(TypeError, match="has no supernet"):
        small(space=NASBench101Space())
    with pytest.raises(TypeError, match="`space` is 'darts'; allowed are search spaces"):
        small(space="darts")
    with pytest.raises(ValueError, match=r"`cells` is 2, .* allowed is 3 or more"):
        small(space=DARTSSpace(), cells=2)
    with pytest.raises(ValueError, match="'unheard_of', which is no known operation"):
        small(space=CellSpace(3, ["none", "unheard_of"]))


@pytest.mark.slow
def test_it_learns(digits: ImageData) -> None:
    objective = Darts(
        NASBench201Space(),
        digits,
        epochs=10,
        batch_size=32,
        channels=8,
        cells=1,
        architecture_learning_rate=3e-3,
        artifacts=None,
    )
    assert objective.evaluate({}) > 0.9
