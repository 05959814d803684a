from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optuna_nas.visualization import plot_history
from optuna_nas.visualization.certainty import level_trials, level_words
from optuna_nas.visualization.records import ranked_records, read_records, value_errors
from optuna_nas.visualization.report import write_report
from optuna_nas.visualization.report_layers import LAYERS

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def study_of(values: list[float], name: str = "validation accuracy", **user: Any) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    study.set_metric_names([name])
    for value in values:
        curve = {0: value - 0.1, 1: value}
        study.add_trial(create_trial(value=value, user_attrs=user, intermediate_values=curve))
    return study


def level(study: optuna.Study) -> list[int]:
    records = read_records(study)
    best, *_ = ranked_records(study, records)
    return [record.number for record in level_trials(best, records)]


def test_trials_within_what_chance_explains_are_level() -> None:
    study = study_of([0.90, 0.95, 0.94, 0.60, 0.93], validation_images=600)
    assert level(study) == [2, 4]  # .05 is 3.3 standard errors, .02 is 1.5
    assert level(study_of([0.90, 0.95, 0.94, 0.60, 0.93], validation_images=60)) == [0, 2, 4]


@pytest.mark.parametrize("name", ["loss", "objective value", "latency"])
def test_nothing_is_said_of_values_that_are_no_accuracies(name: str) -> None:
    study = study_of([0.90, 0.95], name=name, validation_images=600)
    records = read_records(study)
    assert level(study) == [] and level_words(records[1], records) == ""
    assert plot_history(study).data[0].error_y.array is None


def test_nothing_is_said_of_accuracies_of_unknown_examples() -> None:
    records = read_records(study_of([0.90, 0.95]))
    assert level_words(records[1], records) == ""


def test_a_score_is_as_sure_as_its_accuracy() -> None:
    study = study_of([0.8], name="score", validation_accuracy=0.9, validation_texts=100)
    assert value_errors(study.trials[0], ["score"]) == pytest.approx([0.03])


def test_only_the_accuracy_of_several_values_has_an_error() -> None:
    trial = create_trial(
        values=[0.9, 1e6], user_attrs={"validation_images": 100, "validation_accuracy": 0.9}
    )
    accuracy, parameters = value_errors(trial, ["accuracy", "parameters"])
    assert accuracy == pytest.approx(0.03) and parameters is None
    pruned = create_trial(state=TrialState.PRUNED, user_attrs={"validation_images": 100})
    assert value_errors(pruned, ["accuracy"]) == ()


def test_words_list_what_is_level() -> None:
    records = read_records(study_of([0.95] * 20, validation_images=600))
    words = level_words(records[0], records)
    assert words.startswith("19 other trials are not distinguishable from it on these 600 images")
    assert "two-proportion test, 5 % level" in words and words.endswith("11, 12, ….")
    records = read_records(study_of([0.95, 0.5], validation_images=600))
    assert level_words(records[0], records).startswith("Every other trial is distinguishable")
    records = read_records(study_of([0.95], validation_images=600))
    assert level_words(records[0], records) == ""


def test_a_report_says_how_sure_it_is(tmp_path: Path) -> None:
    study = study_of([0.9, 0.95, 1.0], validation_images=99, test_images=400, test_accuracy=0.9)
    page = write_report(study, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "1.0000 ± 0.0100 (99 images)" in page and "0.9000 ± 0.0150 (400 images)" in page
    assert "1 other trial is not distinguishable from it on these 99 images" not in page
    assert "0.9500 ± 0.0219" in page  # in the table
    study = study_of([0.99, 0.98], validation_images=99)
    page = write_report(study, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "1 other trial is not distinguishable from it on these 99 images" in page


def test_of_one_trial_only_the_learning_curve_is_a_chart(tmp_path: Path) -> None:
    page = write_report(study_of([0.9]), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Learning curves</h2>" in page
    assert "Optimisation history" not in page and "importances" not in page
    page = write_report(study_of([0.9, 0.8]), tmp_path / "two.html").read_text(encoding="utf-8")
    assert "<h2>Optimisation history</h2>" in page


def test_evaluations_are_not_called_epochs(tmp_path: Path) -> None:
    study = study_of([0.9, 0.8], name="score")
    page = write_report(study, tmp_path / "a.html", parts=LAYERS).read_text(encoding="utf-8")
    assert "evaluation 2: 0.9" in page and "Evaluations" in page
    assert "epoch 2" not in page and "Epochs" not in page
    page = write_report(study, tmp_path / "b.html").read_text(encoding="utf-8")
    assert "epoch 2: 0.9" in page and "epoch 0" not in page and "Epochs" in page
