"""The measures of an ensemble, in closed form and by their invariants."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from optuna_nas.ensembles import (
    EnsembleReport,
    accuracy,
    calibration_error,
    disagreement,
    mean_probabilities,
    negative_log_likelihood,
)


def random_members(
    seed: int, members: int = 5, images: int = 40, classes: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((members, images, classes))
    odds = np.exp(scores)
    return odds / odds.sum(axis=2, keepdims=True), rng.integers(classes, size=images)


def test_closed_forms() -> None:
    members = np.array(
        [
            [[0.8, 0.2, 0.0], [0.1, 0.6, 0.3]],
            [[0.4, 0.0, 0.6], [0.3, 0.4, 0.3]],
        ]
    )
    labels = np.array([0, 2])
    mean = mean_probabilities(members)
    np.testing.assert_allclose(mean, [[0.6, 0.1, 0.3], [0.2, 0.5, 0.3]])
    assert accuracy(mean, labels) == 0.5
    assert negative_log_likelihood(mean, labels) == pytest.approx(-np.log([0.6, 0.3]).mean())
    assert disagreement(members) == 0.5


def test_uniform_probabilities() -> None:
    uniform = np.full((12, 4), 0.25)
    labels = np.arange(12) % 4
    assert negative_log_likelihood(uniform, labels) == pytest.approx(np.log(4))
    assert accuracy(uniform, labels) == 0.25  # of equal ones the first class counts
    assert calibration_error(uniform, labels) == pytest.approx(0.0, abs=1e-12)


def test_certain_predictions() -> None:
    labels = np.array([0, 1, 2, 1])
    certain = np.eye(3)[labels]
    assert negative_log_likelihood(certain, labels) == pytest.approx(0.0, abs=1e-11)
    assert calibration_error(certain, labels) == 0.0
    wrong = np.eye(3)[(labels + 1) % 3]
    assert negative_log_likelihood(wrong, labels) == pytest.approx(-np.log(1e-12))
    assert calibration_error(wrong, labels) == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_the_mean_is_never_less_likely_than_its_members_are_on_average(seed: int) -> None:
    """Jensen's inequality."""
    members, labels = random_members(seed, members=2 + seed % 4)
    losses = [negative_log_likelihood(member, labels) for member in members]
    assert negative_log_likelihood(mean_probabilities(members), labels) <= np.mean(losses)


def test_jensen_holds_where_probabilities_are_zero() -> None:
    labels = np.zeros(3, dtype=int)
    members = np.array([[[p, 1 - p]] * 3 for p in (0.0, 2e-12, 1e-11)])
    losses = [negative_log_likelihood(member, labels) for member in members]
    assert negative_log_likelihood(mean_probabilities(members), labels) <= np.mean(losses)


def test_a_constant_gap_is_the_calibration_error() -> None:
    """Confidence 0.8 and accuracy 0.5 in one bin; confidence 0.6 and accuracy 1 in another."""
    probabilities = np.array([[0.8, 0.2]] * 6 + [[0.4, 0.6]] * 2)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert calibration_error(probabilities, labels) == pytest.approx((6 * 0.3 + 2 * 0.4) / 8)
    # In one bin for all, the gaps of different sign take each other back.
    assert calibration_error(probabilities, labels, bins=1) == pytest.approx((1.8 - 0.8) / 8)


def test_ends_of_the_bins() -> None:
    """A bin holds its upper end: with two bins, 0.5 is in the first one."""
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1]])
    labels = np.array([1, 0])  # gaps of 0.5 and of -0.1, that would sum up in one bin
    assert calibration_error(probabilities, labels, bins=2) == pytest.approx(0.3)


def test_confidence_of_calibrated_predictions() -> None:
    """Labels drawn from the predictions: the error goes to zero."""
    rng = np.random.default_rng(0)
    members, _ = random_members(1, members=1, images=20_000)
    draws = (rng.random((20_000, 1)) > members[0].cumsum(axis=1)).sum(axis=1)
    assert calibration_error(members[0], draws) < 0.015
    assert calibration_error(members[0], (draws + 1) % 4) > 0.4


def test_disagreement() -> None:
    classes = np.eye(3)
    members = np.array([classes[[0, 0, 0, 0]], classes[[0, 0, 1, 1]], classes[[0, 2, 1, 2]]])
    assert disagreement(members) == pytest.approx((2 / 4 + 3 / 4 + 2 / 4) / 3)
    assert disagreement(members[:1]) == 0.0
    assert disagreement(members[[0, 0]]) == 0.0


def test_report() -> None:
    members, labels = random_members(3)
    report = EnsembleReport.of(
        members, labels, members_drawn=9, training_seconds=2.5, search_seconds=1.5
    )
    mean = members.mean(axis=0)
    assert report.accuracy == accuracy(mean, labels)
    assert report.nll == negative_log_likelihood(mean, labels) <= report.mean_member_nll
    assert report.mean_member_accuracy == pytest.approx((members.argmax(axis=2) == labels).mean())
    assert report.to_dict() == {
        "accuracy": report.accuracy,
        "nll": report.nll,
        "calibration_error": calibration_error(mean, labels),
        "disagreement": disagreement(members),
        "mean_member_accuracy": report.mean_member_accuracy,
        "mean_member_nll": report.mean_member_nll,
        "size": 5,
        "members_drawn": 9,
        "training_seconds": 2.5,
        "search_seconds": 1.5,
    }


def test_wrong_shapes() -> None:
    members, labels = random_members(0)
    with pytest.raises(ValueError, match=r"`members` has the shape \(40, 4\)"):
        mean_probabilities(members[0])
    with pytest.raises(ValueError, match=r"`members` has the shape \(0, 40, 4\)"):
        disagreement(members[:0])
    with pytest.raises(ValueError, match=r"shape \(40, 4\) and `labels` \(39,\)"):
        accuracy(members[0], labels[1:])
    with pytest.raises(ValueError, match=r"shape \(5, 40, 4\) and `labels`"):
        negative_log_likelihood(members, labels)
    with pytest.raises(ValueError, match="`bins` is 0"):
        calibration_error(members[0], labels, bins=0)


def test_what_is_not_finite_is_no_prediction() -> None:
    members, labels = random_members(0)
    members[1, 3] = np.nan
    for measure in (accuracy, negative_log_likelihood, calibration_error):
        with pytest.raises(ValueError, match="`probabilities` has 4 of 160 values that are not"):
            measure(members[1], labels)
    for of_all in (mean_probabilities, disagreement):
        with pytest.raises(ValueError, match="`members` has 4 of"):
            of_all(members)
