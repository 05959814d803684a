"""The tasks of tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from optuna_nas.data import Split, load_table
from optuna_nas.tasks import tabular


def test_a_class_and_a_number() -> None:
    iris, diabetes = tabular(load_table("iris")), tabular(load_table("diabetes"))
    assert (iris.outputs, iris.score.name, iris.input_shape) == (3, "accuracy", (4,))
    assert (diabetes.outputs, diabetes.score.name, diabetes.input_shape) == (1, "R2", (10,))
    assert diabetes.settings == {"score": "R2"}


def test_rmse_is_in_the_unit_of_the_target() -> None:
    data = load_table("diabetes")
    score = tabular(data, score="rmse").score
    none = torch.zeros(len(data.train), 1)  # the mean of the training rows
    assert score.measure([(none, data.train.targets)]).value == pytest.approx(data.target_std)


@pytest.mark.parametrize(("name", "score"), [("iris", "r2"), ("diabetes", "accuracy")])
def test_scores_of_other_targets_are_refused(name: str, score: str) -> None:
    with pytest.raises(ValueError, match=f"`score` is '{score}'; allowed are"):
        tabular(load_table(name), score=score)


def test_targets_without_variance_have_no_r2() -> None:
    data = load_table("diabetes")
    flat = replace(data, test=Split(data.test.inputs, torch.zeros(len(data.test))))
    with pytest.raises(ValueError, match=r"test rows of diabetes have one value .* 'target'"):
        tabular(flat)
    assert tabular(flat, score="rmse").score.name == "RMSE"
