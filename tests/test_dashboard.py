"""What optuna-dashboard shows of a search, asked through WSGI without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal
from wsgiref.util import setup_testing_defaults
from xml.etree import ElementTree

import optuna
import optuna_dashboard
import pytest
from optuna.trial import TrialState

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.data import load_images
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import NASBench201Space
from optuna_nas.storages import open_storage, show_constraints

SPACE = NASBench201Space()
EPOCHS = 3

Get = Callable[[str], tuple[str, bytes]]
"""Takes a path (and query), returns the content type and the body."""


class PruneTrial(optuna.pruners.BasePruner):
    """Stops trial 2 after its first epoch."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.number == 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def study(folder: Path) -> optuna.Study:
    data = load_images("digits", train_size=500, validation_size=200, test_size=50)
    objective = CellCNN(SPACE, data, epochs=EPOCHS, channels=4, cells=1, artifacts=folder)
    study = optuna.create_study(
        study_name="digits cells",
        storage=f"sqlite:///{folder / 'study.db'}",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=PruneTrial(),
    )
    study.optimize(objective, n_trials=5)
    return study


@pytest.fixture(scope="module")
def get(study: optuna.Study, folder: Path) -> Get:
    return asking(
        optuna_dashboard.wsgi(study._storage, artifact_store=ArtifactFolder(folder).store)
    )


def asking(app: Callable[..., Iterable[bytes]]) -> Get:
    def get(url: str) -> tuple[str, bytes]:
        path, _, query = url.partition("?")
        environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query}
        setup_testing_defaults(environ)
        answers: list[tuple[str, dict[str, str]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            answers.append((status, dict(headers)))

        body = app(environ, start_response)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        [(status, headers)] = answers
        assert status == "200 OK", content
        return headers["Content-Type"].partition(";")[0], content

    return get


@pytest.fixture(scope="module")
def shown(study: optuna.Study, get: Get) -> dict[str, Any]:
    """The study's details as the page of the study gets them."""
    kind, body = get(f"/api/studies/{study._study_id}?after=0")
    assert kind == "application/json"
    details: dict[str, Any] = json.loads(body)
    return details


def test_the_study_is_listed(study: optuna.Study, get: Get) -> None:
    kind, body = get("/api/studies")
    [listed] = json.loads(body)["study_summaries"]
    assert kind == "application/json"
    assert listed["study_name"] == "digits cells" and listed["directions"] == ["maximize"]
    assert listed["study_id"] == study._study_id


def test_the_space_is_an_attribute_of_the_study(shown: dict[str, Any]) -> None:
    attributes = {entry["key"]: entry["value"] for entry in shown["user_attrs"]}
    assert json.loads(attributes["optuna_nas:space"]) == SPACE.to_dict()


def test_trials_show_their_states_and_learning_curves(
    study: optuna.Study, shown: dict[str, Any]
) -> None:
    assert [trial["state"] for trial in shown["trials"]] == [
        *("Complete", "Complete", "Pruned", "Complete", "Complete")
    ]
    for trial, frozen in zip(shown["trials"], study.trials, strict=True):
        curve = {point["step"]: point["value"] for point in trial["intermediate_values"]}
        epochs = 1 if frozen.state == TrialState.PRUNED else EPOCHS
        assert list(curve) == list(range(epochs))
        assert curve == frozen.intermediate_values
        if frozen.state == TrialState.COMPLETE:
            assert trial["values"] == [curve[EPOCHS - 1]]


def test_numbers_of_trials_are_columns_to_sort_by(
    study: optuna.Study, shown: dict[str, Any]
) -> None:
    columns = {spec["key"]: spec["sortable"] for spec in shown["union_user_attrs"]}
    for name in ("parameters", "flops", "seconds", "test_accuracy"):
        assert columns[name] is True
    assert columns["architecture"] is False
    for trial, frozen in zip(shown["trials"], study.trials, strict=True):
        attributes = {entry["key"]: entry["value"] for entry in trial["user_attrs"]}
        expected = {"parameters", "flops", "seconds", "architecture"}
        if frozen.state == TrialState.COMPLETE:
            expected.add("test_accuracy")
        assert expected <= attributes.keys()
        assert attributes["architecture"] == str(SPACE.architecture(frozen.params))
        assert int(attributes["parameters"]) > 0 and int(attributes["flops"]) > 0


def test_complete_trials_show_their_cell_and_learning_curve(
    study: optuna.Study, shown: dict[str, Any], get: Get
) -> None:
    for trial, frozen in zip(shown["trials"], study.trials, strict=True):
        artifacts = {artifact["filename"]: artifact for artifact in trial["artifacts"]}
        assert set(artifacts) == {"cell.svg", "learning_curve.svg"}
        texts = {}
        for name, artifact in artifacts.items():
            assert artifact["mimetype"] == "image/svg+xml"
            place = f"/artifacts/{study._study_id}/{trial['trial_id']}/{artifact['artifact_id']}"
            kind, content = get(place)
            assert kind == "image/svg+xml"
            drawing = ElementTree.fromstring(content)
            assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
            texts[name] = " ".join(drawing.itertext())
        for operation in set(frozen.params.values()):
            assert operation in texts["cell.svg"]
        assert f"Trial {frozen.number}" in texts["learning_curve.svg"]


def test_parameter_importances_are_answered(study: optuna.Study, get: Get) -> None:
    kind, body = get(f"/api/studies/{study._study_id}/param_importances")
    [importances] = json.loads(body)["param_importances"]
    assert kind == "application/json"
    assert {entry["name"] for entry in importances} == set(SPACE.distributions)
    assert sum(entry["importance"] for entry in importances) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["sqlite:///{}/study.db", "{}/study.journal"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_constraints_are_shown(
    name: str, direction: Literal["minimize", "maximize"], tmp_path: Path
) -> None:
    address = name.format(tmp_path)
    study = optuna.create_study(storage=open_storage(address), direction=direction)
    sign = 1 if direction == "maximize" else -1
    # The best value violates a constraint; the last trial has none, and so is feasible.
    told = [(3.0, (0.5, -1.0)), (2.0, (0.0, -1.0)), (1.0, (-1.0, -1.0)), (0.0, ())]

    def objective(trial: optuna.Trial) -> float:
        value, constraints = told[trial.number]
        for number, constraint in enumerate(constraints):
            trial.set_constraint(f"limit {number}", constraint)
        return sign * value

    study.optimize(objective, n_trials=1)
    get = asking(optuna_dashboard.wsgi(show_constraints(open_storage(address))))
    url = f"/api/studies/{study._study_id}?after=0"
    # Nothing feasible is there yet: the best is what there is.
    assert [trial["number"] for trial in json.loads(get(url)[1])["best_trials"]] == [0]

    study.optimize(objective, n_trials=3)
    before = [trial.system_attrs for trial in study.trials]
    get = asking(optuna_dashboard.wsgi(show_constraints(open_storage(address))))
    shown = json.loads(get(url)[1])
    assert [trial["constraints"] for trial in shown["trials"]] == [list(c) for _, c in told]
    assert [trial["number"] for trial in shown["best_trials"]] == [1] == [study.best_trial.number]
    assert [trial.system_attrs for trial in study.trials] == before


def test_without_it_the_dashboard_would_not_show_constraints(tmp_path: Path) -> None:
    """If this fails, the dashboard has learnt it, and `show_constraints` can go."""
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}")
    trial = study.ask()
    trial.set_constraint("limit", 1.0)
    study.tell(trial, 0.0)
    get = asking(optuna_dashboard.wsgi(study._storage))
    [shown] = json.loads(get(f"/api/studies/{study._study_id}?after=0")[1])["trials"]
    assert shown["constraints"] == []
