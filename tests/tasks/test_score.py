"""Scores against their formulas, and their standard errors against the spread of draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from optuna.study import StudyDirection
from torch import Tensor

from optuna_nas._accuracy import standard_error
from optuna_nas.tasks import ACCURACY, R2, Score, rmse


def of(score: Score, outputs: Tensor, targets: Tensor) -> tuple[float, float]:
    found = score.measure([(outputs, targets)])
    assert found.examples == len(targets)
    return found.value, found.error


def drawn(examples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Targets of variance 4, and outputs with an error of variance 1."""
    generator = torch.Generator().manual_seed(seed)
    targets = 2 * torch.randn(examples, generator=generator) + 3
    return (targets + torch.randn(examples, generator=generator)).unsqueeze(1), targets


def test_accuracy_is_a_share_and_its_error_binomial() -> None:
    logits = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 1, 2])]
    targets = torch.tensor([0, 1, 1, 2, 1, 0, 2])
    value, error = of(ACCURACY, logits, targets)
    assert value == 4 / 7
    assert error == pytest.approx(standard_error(4 / 7, 7), rel=1e-12)
    assert ACCURACY.sign == 1 and rmse().sign == -1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_outputs_that_are_not_finite_predict_no_class(value: float) -> None:
    logits = torch.tensor([[value, 0.0], [1.0, 0.0]])
    assert of(ACCURACY, logits, torch.tensor([0, 0]))[0] == 0.5


def test_r2_and_rmse_are_those_of_the_textbook() -> None:
    from sklearn.metrics import r2_score, root_mean_squared_error

    outputs, targets = drawn(200, 0)
    known, given = targets.numpy().astype(float), outputs[:, 0].numpy().astype(float)
    assert of(R2, outputs, targets)[0] == pytest.approx(r2_score(known, given), rel=1e-9)
    root = root_mean_squared_error(known, given)
    assert of(rmse(), outputs, targets)[0] == pytest.approx(root, rel=1e-9)
    value, error = of(rmse(), outputs, targets)
    assert of(rmse(unit=7.0), outputs, targets) == pytest.approx((7 * value, 7 * error))


def test_perfect_outputs_and_the_mean() -> None:
    _, targets = drawn(50, 1)
    perfect, mean = targets.unsqueeze(1), torch.full((50, 1), float(targets.double().mean()))
    assert of(R2, perfect, targets) == (1.0, 0.0)
    assert of(rmse(), perfect, targets) == (0.0, 0.0)
    assert of(R2, mean, targets)[0] == pytest.approx(0.0, abs=1e-6)
    spread = float(targets.double().std(correction=0))
    assert of(rmse(), mean, targets)[0] == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("score", [ACCURACY, R2, rmse()], ids=lambda score: score.name)
def test_batches_do_not_matter(score: Score) -> None:
    outputs, targets = drawn(90, 2)
    if score is ACCURACY:
        outputs, targets = outputs.repeat(1, 4) * torch.tensor([1, -1, 2, 0]), targets.long() % 4
    parts = zip(torch.split(outputs, 32), torch.split(targets, 32), strict=True)
    whole = score.measure([(outputs, targets)])
    assert score.measure(parts) == whole


@pytest.mark.parametrize("score", [R2, rmse(unit=3.0)], ids=lambda score: score.name)
def test_the_error_is_the_spread_of_draws(score: Score) -> None:
    found = [score.measure([drawn(300, seed)]) for seed in range(800)]
    spread = np.std([measured.value for measured in found])
    assert np.mean([measured.error for measured in found]) == pytest.approx(spread, rel=0.08)


def test_a_score_of_ones_own_is_one_function() -> None:
    def close(outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs[:, 0] - targets).abs() < 0.5).unsqueeze(1)

    score = Score("share within half a unit", StudyDirection.MAXIMIZE, close)
    outputs = torch.tensor([[0.0], [1.0], [5.0], [3.2]])
    assert of(score, outputs, torch.tensor([0.0, 1.2, 2.0, 3.0]))[0] == 0.75
