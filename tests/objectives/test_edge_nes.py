"""EdgeNES and the ensembles it is compared with, as trials."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import optuna
import pytest
import torch
import torch.nn.functional as F
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from optuna_nas.data import ImageData
from optuna_nas.ensembles import best_ensemble
from optuna_nas.errors import UserError
from optuna_nas.export.ensemble import export_ensemble
from optuna_nas.methods import EdgePenalty, common_edges
from optuna_nas.objectives import CellCNN, EdgeNES
from optuna_nas.objectives.edge_nes import (
    Candidates,
    DartsMembers,
    DeviatingMembers,
    EnsembleSearch,
    HypernetworkSettings,
    MemberSource,
    RandomMembers,
    RepeatedMembers,
    Search,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.objectives.edge_nes.outcome import Outcome
from optuna_nas.objectives.training import Trainer
from optuna_nas.spaces import EdgeNESSpace, NASBench101Space, NASBench201Space
from optuna_nas.trials.divergence import DivergedError

Make = Callable[..., EdgeNES]
SPACE = EdgeNESSpace()
SMALL: dict[str, Any] = {"epochs": 1, "batch_size": 32, "channels": 2}
TRAINING = TrainingSettings(epochs=1, batch_size=32, channels=2)


def settings(**options: Any) -> dict[str, Any]:
    """Settings with which a trial takes a second."""
    chosen: dict[str, Any] = {
        "size": 2,
        "candidates": 3,
        "search": SupernetSettings(**SMALL),
        "hypernetwork": HypernetworkSettings(**SMALL),
        "training": TRAINING,
        "artifacts": None,
    }
    return chosen | options


@pytest.fixture
def small(few_digits: ImageData) -> Make:
    """Make an objective whose trials take a second."""

    def make(**options: Any) -> EdgeNES:
        return EdgeNES(few_digits, **settings(**options))

    return make


def run(objective: EnsembleSearch, **options: Any) -> optuna.Study:
    study = optuna.create_study(direction="maximize", **options)
    study.optimize(objective, n_trials=1)
    return study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def finished(few_digits: ImageData, folder: Path) -> tuple[EdgeNES, optuna.Study]:
    """An objective and a study of one trial of it."""
    objective = EdgeNES(few_digits, **settings(artifacts=folder))
    return objective, run(objective)


def test_one_trial(finished: tuple[EdgeNES, optuna.Study], few_digits: ImageData) -> None:
    objective, study = finished
    [trial] = study.trials
    found = trial.user_attrs
    assert list(trial.intermediate_values) == list(range(1 + 1 + 3))
    assert trial.params == {} and objective.search_space == {}
    assert trial.value == found["validation_report"]["accuracy"]
    assert found["test_accuracy"] == found["test_report"]["accuracy"]
    report = found["test_report"]
    assert (report["size"], report["members_drawn"]) == (2, 3)
    assert report["nll"] <= report["mean_member_nll"]
    assert found["search_seconds"] == report["search_seconds"] > 0
    assert found["training_seconds"] == report["training_seconds"] > 0
    assert found["seconds"] == pytest.approx(found["search_seconds"] + found["training_seconds"])

    optimum = SPACE.parse(found["optimum"])
    members = [SPACE.parse(text) for text in found["members"]]
    assert [SPACE.architecture(params) for params in found["member_params"]] == members
    assert found["shared_edges"] == [common_edges(optimum, member) for member in members]
    assert all(0 <= position <= 4 for position in found["lambdas"])
    assert found["architecture"] == " & ".join(map(str, members))

    ensemble = objective.load(study, 0)
    test = few_digits.test
    with torch.no_grad():
        logits = ensemble(test.images)
    assert float(F.cross_entropy(logits, test.labels)) == pytest.approx(report["nll"], rel=1e-5)
    assert float((logits.argmax(1) == test.labels).float().mean()) == pytest.approx(
        report["accuracy"]
    )
    assert found["parameters"] == sum(p.numel() for p in ensemble.parameters())


def test_artifacts(finished: tuple[EdgeNES, optuna.Study], folder: Path) -> None:
    _, study = finished
    [trial] = study.trials
    metas = get_all_artifact_meta(trial, storage=study._storage)
    files = {m.filename: (folder / "files" / m.artifact_id).read_text() for m in metas}
    pictures = {"member_1.svg", "member_2.svg", "optimum.svg", "shared_edges.svg"}
    assert set(files) == pictures | {"learning_curve.svg", "shared_edges.csv", "candidates.csv"}
    for name in pictures:
        ElementTree.fromstring(files[name])
    # The three candidates, one of them not chosen.
    assert files["shared_edges.svg"].count("<circle") == 3
    assert files["shared_edges.svg"].count('fill="#fff" stroke="#b45309"') == 1

    # The curve as numbers: those that the picture tells.
    points = list(csv.DictReader(files["shared_edges.csv"].splitlines()))
    assert [list(point) for point in points] == [["lambda", "shared edges"]] * 41
    assert [float(point["lambda"]) for point in points] == pytest.approx(np.linspace(0, 4, 41))
    assert {int(point["shared edges"]) for point in points} <= set(range(5))
    told = ", ".join(f"{p['shared edges']} at {float(p['lambda']):g}" for p in points)
    assert told in files["shared_edges.svg"]

    rows = list(csv.DictReader(files["candidates.csv"].splitlines()))
    chosen = [row for row in rows if row["chosen"] == "1"]
    assert [row["architecture"] for row in chosen] == trial.user_attrs["members"]
    assert [float(row["lambda"]) for row in chosen] == trial.user_attrs["lambdas"]
    assert [int(row["shared edges"]) for row in chosen] == trial.user_attrs["shared_edges"]
    report = trial.user_attrs["validation_report"]
    for field, column in (("mean_member_nll", "nll"), ("mean_member_accuracy", "accuracy")):
        assert np.mean([float(row[column]) for row in chosen]) == pytest.approx(report[field])


def test_members_are_trained_by_another_study(
    finished: tuple[EdgeNES, optuna.Study], few_digits: ImageData
) -> None:
    params = finished[1].best_trial.user_attrs["member_params"]
    training = CellCNN(SPACE, few_digits, epochs=1, channels=2, artifacts=None)
    study = optuna.create_study(direction="maximize")
    for member in params:
        study.enqueue_trial(member)
    study.optimize(training, n_trials=2)
    assert [trial.params for trial in study.trials] == params


def test_seeds_and_trials_differ(few_digits: ImageData) -> None:
    def members(seed: int, trials: int) -> list[list[str]]:
        objective = EnsembleSearch(
            SPACE,
            few_digits,
            RandomMembers(1),
            size=1,
            training=TRAINING,
            seed=seed,
            artifacts=None,
        )
        study = optuna.create_study(direction="maximize")
        study.optimize(objective, n_trials=trials)
        return [trial.user_attrs["members"] for trial in study.trials]

    first, second = members(1, 2)
    assert first != second
    assert members(1, 1) == [first] != members(2, 1)


def test_settings_are_json_and_tell_objectives_apart(small: Make) -> None:
    def text(objective: EnsembleSearch) -> str:
        return json.dumps(objective.settings(), sort_keys=True)

    assert text(small()) == text(small())
    changes: list[dict[str, Any]] = [
        {"size": 1},
        {"candidates": 4},
        {"search": SupernetSettings(**SMALL, learning_rate=0.1)},
        {"hypernetwork": HypernetworkSettings(**SMALL, pivots=3)},
        {"training": TrainingSettings(epochs=1, batch_size=32, channels=2, momentum=0.5)},
        {"held_out": 0.4},
        {"flip": True},
        {"seed": 3},
        {"space": EdgeNESSpace(num_nodes=3)},
    ]
    assert len({text(small(**change)) for change in changes} | {text(small())}) == 10


SOURCES: dict[str, tuple[MemberSource, int]] = {  # and the epochs of searches
    "darts": (DartsMembers(3, SupernetSettings(**SMALL)), 3),
    "random": (RandomMembers(3), 0),
    "deviating": (DeviatingMembers(3, SupernetSettings(**SMALL)), 1),
    "repeated": (RepeatedMembers(3, SupernetSettings(**SMALL)), 1),
}


@pytest.mark.parametrize("name", SOURCES)
def test_other_ensembles(few_digits: ImageData, name: str) -> None:
    source, epochs = SOURCES[name]
    objective = EnsembleSearch(
        SPACE, few_digits, source, size=2, training=TRAINING, artifacts=None
    )
    [trial] = run(objective).trials
    found = trial.user_attrs
    assert len(trial.intermediate_values) == epochs + 3
    assert (found.get("search_seconds", 0) > 0) == (epochs > 0)
    assert len(found["members"]) == 2
    assert ("optimum" in found) == (name in ("deviating", "repeated"))
    if name == "repeated":
        assert set(found["members"]) == {found["optimum"]}
        assert found["shared_edges"] == [4, 4]
        report = found["test_report"]
        assert report["nll"] < report["mean_member_nll"]  # they are trained apart
    else:
        assert len(set(found["members"])) == 2


def test_a_source_of_ones_own_in_another_space(few_digits: ImageData) -> None:
    space = NASBench201Space()

    @dataclass(frozen=True)
    class Skips:
        """Cells of one operation only."""

        candidates: int = 2
        searches: tuple[SupernetSettings, ...] = ()

        def find(self, search: Search) -> Candidates:
            names = ("nor_conv_3x3", "skip_connect")
            return Candidates(
                [space.architecture(dict.fromkeys(space.distributions, name)) for name in names]
            )

    training = TrainingSettings(epochs=1, batch_size=32, channels=2, cells=1)
    objective = EnsembleSearch(
        space, few_digits, Skips(), size=2, training=training, artifacts=None
    )
    [trial] = run(objective).trials
    assert trial.user_attrs["members"][0].count("nor_conv_3x3") == 6


def test_a_source_whose_repr_is_an_address_is_refused(few_digits: ImageData) -> None:
    """Two of them with other settings could not be told apart, the same one not be found again."""

    class Nameless:
        candidates = 1
        searches = ()

        def find(self, search: Search) -> Candidates:
            return Candidates([SPACE.random(search.rng("members"))])

    message = r"^`members` is <.*Nameless object at .*needed is a `__repr__` that does"
    with pytest.raises(TypeError, match=message):
        EnsembleSearch(SPACE, few_digits, Nameless(), size=1, training=TRAINING, artifacts=None)


@pytest.mark.parametrize("seed", range(2))
def test_the_penalty_makes_candidates_share_what_they_are_asked_to(
    few_digits: ImageData, seed: int
) -> None:
    """With a large penalty the images do not matter; without one the mean error is above one."""
    operations = ("max_pool_3x3", "avg_pool_3x3", "skip_connect")
    hypernetwork = HypernetworkSettings(
        epochs=8,
        batch_size=4,
        channels=2,
        architecture_learning_rate=0.3,
        penalty=EdgePenalty(weight=100, final_weight=100),
    )
    objective = EdgeNES(
        few_digits,
        space=EdgeNESSpace(operations),
        **settings(size=6, candidates=6, hypernetwork=hypernetwork, seed=seed),
    )
    [trial] = run(objective).trials
    found = trial.user_attrs
    errors = np.subtract(found["shared_edges"], found["lambdas"])
    assert len(errors) == 6
    assert np.abs(errors).mean() <= 0.75


def test_the_chosen_ones_are_measured() -> None:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(3, size=30))
    trained = [
        {
            name: torch.from_numpy(rng.dirichlet(np.ones(3), size=30)).float()
            for name in ("validation", "test")
        }
        for _ in range(5)
    ]
    architectures = [SPACE.random(rng) for _ in range(5)]
    outcome = Outcome.of(
        Candidates(architectures), trained, (labels, labels), 2, {"search": 2.0, "training": 3.0}
    )
    validation = np.stack([found["validation"].double().numpy() for found in trained])
    assert outcome.chosen == best_ensemble(validation, labels.numpy(), 2)
    assert outcome.members == [architectures[number] for number in outcome.chosen]
    test = torch.stack([trained[number]["test"].double() for number in outcome.chosen]).mean(0)
    expected = float((test.argmax(1) == labels).double().mean())
    assert outcome.test_report.accuracy == pytest.approx(expected)
    assert outcome.test_report.search_seconds == 2.0
    assert outcome.shared is None


def test_a_pruner_stops_it(small: Make, tmp_path: Path) -> None:
    class AfterTheThird(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return len(trial.intermediate_values) == 3

    [trial] = run(small(artifacts=tmp_path), pruner=AfterTheThird()).trials
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0, 1, 2]
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_diverging_training_is_pruned(small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(self: Trainer) -> float:
        raise DivergedError("the mean training loss of the epoch is nan")

    monkeypatch.setattr(Trainer, "train_epoch", diverging)
    [trial] = run(small()).trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["diverged"] == "the mean training loss of the epoch is nan"


def test_a_study_that_minimises_is_refused(small: Make) -> None:
    study = optuna.create_study(direction="minimize")
    with pytest.raises(ValueError, match="direction='maximize'"):
        study.optimize(small(), n_trials=1)


@pytest.mark.parametrize("members", [7, "c0 | c1", [5], {"0": "c"}, [["c"]]])
def test_members_of_another_type_are_none(small: Make, tmp_path: Path, members: object) -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"members": members}))
    with pytest.raises(UserError, match="Trial 0 cannot be exported: it has found no ensemble"):
        export_ensemble(small(), study, study.trials[0], tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_nothing_to_load(small: Make, tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(ValueError, match="`artifacts` is None"):
        small().load(study, 0)
    with pytest.raises(ValueError, match="`number` is 0, a trial that has found no ensemble"):
        small(artifacts=tmp_path).load(study, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "`size` is 4; allowed is an integer from 1 to 3"),
        ({"candidates": 0}, "`candidates` is 0; allowed is an integer of 1 or more"),
        ({"held_out": 0.0}, "`held_out` is 0.0, .*each part needs 2 or more"),
        ({"crop_padding": 8}, "`crop_padding` is 8; allowed is an integer from 0 to 7"),
        ({"cutout": 9}, "`cutout` is 9; allowed is an integer from 0 to 8"),
        ({"seed": -1}, "`seed` is -1"),
        ({"device": "abacus"}, "`device` is 'abacus'"),
    ],
)
def test_wrong_arguments(small: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        small(**options)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (SupernetSettings, {"epochs": 0}, "`epochs` is 0"),
        (SupernetSettings, {"batch_size": 1}, "`batch_size` is 1; allowed is an integer of 2"),
        (SupernetSettings, {"channels": 0}, "`channels` is 0"),
        (SupernetSettings, {"learning_rate": 1e-4}, "`learning_rate` is 0.0001; .*0.001"),
        (SupernetSettings, {"architecture_weight_decay": 1.0}, "`architecture_weight_decay` is"),
        (HypernetworkSettings, {"pivots": 1}, "`pivots` is 1"),
        (HypernetworkSettings, {"margin": -0.1}, "`margin` is -0.1"),
        (HypernetworkSettings, {"momentum": 1.0}, "`momentum` is 1.0"),
        (TrainingSettings, {"cells": 0}, "`cells` is 0"),
        (TrainingSettings, {"learning_rate": 0}, "`learning_rate` is 0"),
        (TrainingSettings, {"gradient_clip": 0.0}, "`gradient_clip` is 0.0"),
    ],
)
def test_wrong_settings(kind: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(**change)


def test_spaces_that_do_not_fit(small: Make) -> None:
    with pytest.raises(TypeError, match="has no supernet"):
        small(
            space=NASBench101Space(),
            training=TrainingSettings(epochs=1, channels=4, cells=1),
        )
    with pytest.raises(TypeError, match="`space` is 'cells'; allowed are search spaces"):
        small(space="cells")


@pytest.mark.slow
def test_it_learns(digits: ImageData) -> None:
    """A whole trial of EdgeNES on the handwritten digits."""
    search: dict[str, Any] = {"epochs": 4, "batch_size": 32, "channels": 4}
    objective = EdgeNES(
        digits,
        size=2,
        candidates=3,
        search=SupernetSettings(**search, architecture_learning_rate=3e-3),
        hypernetwork=HypernetworkSettings(**search, architecture_learning_rate=0.1),
        training=TrainingSettings(epochs=8, batch_size=32, channels=8, cells=1),
        artifacts=None,
    )
    [trial] = run(objective).trials
    assert trial.user_attrs["test_report"]["accuracy"] > 0.85
    assert trial.value is not None and trial.value > 0.85
