"""How good the predictions of an ensemble are, and how much its members differ.

An ensemble predicts the mean of the probabilities of its members. All measures take
probabilities; none applies a softmax. What is not finite is no prediction, and refused.

References: B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and Scalable Predictive
Uncertainty Estimation using Deep Ensembles", NeurIPS 2017, arXiv:1612.01474; calibration: C. Guo,
G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
arXiv:1706.04599.

*Departures*: the code of EdgeNES gives the mean of the probabilities to a cross-entropy of
logits, which applies a softmax to them; here the negative log-likelihood is that of the mean.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Probabilities: TypeAlias = NDArray[np.floating[Any]]
"""The probability of each class for each image, `n x c`, or for each member too, `m x n x c`."""

Labels: TypeAlias = NDArray[np.integer[Any]]
"""The class of each image, `n`."""

_DOUBT = 1e-12
"""The share of certainty that is mixed into every probability of a likelihood, so that one that
rounds to zero costs 27.6 and not infinity. Mixed in, the loss stays convex."""


def mean_probabilities(members: Probabilities) -> NDArray[np.float64]:
    """What the ensemble predicts.

    Args:
        members: The probabilities of each member, `m x n x c`.

    Returns:
        The means over the members, `n x c`.

    Raises:
        ValueError: There is no member, the shape is another one, or a probability is not finite.
    """
    mean: NDArray[np.float64] = _checked_members(members).mean(axis=0)
    return mean


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """The mean of -log(probability of the right class), in nats.

    Args:
        probabilities: `n x c`.
        labels: The right classes, `n`.
    """
    given, right = _checked(probabilities, labels)
    likelihoods = given[np.arange(len(right)), right]
    return float(-np.log((1 - _DOUBT) * likelihoods + _DOUBT).mean())


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """The share of images whose most probable class is the right one, from 0 to 1.

    Args:
        probabilities: `n x c`.
        labels: The right classes, `n`.
    """
    given, right = _checked(probabilities, labels)
    return float((given.argmax(axis=1) == right).mean())


def calibration_error(probabilities: Probabilities, labels: Labels, bins: int = 15) -> float:
    """The expected calibration error: how far confidence and accuracy are apart, from 0 to 1.

    Images are sorted by the probability of their most probable class into bins of equal width;
    the differences between mean confidence and accuracy are averaged over the images.

    Args:
        probabilities: `n x c`.
        labels: The right classes, `n`.
        bins: The number of bins.

    Raises:
        ValueError: There are fewer than one bin.
    """
    given, right = _checked(probabilities, labels)
    if bins < 1:
        raise ValueError(f"`bins` is {bins!r}; allowed is an integer of 1 or more.")
    confidence = given.max(axis=1)
    correct = given.argmax(axis=1) == right
    # A bin holds its upper end.
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def disagreement(members: Probabilities) -> float:
    """The share of images of which two members predict different classes, from 0 to 1.

    Args:
        members: The probabilities of each member, `m x n x c`.

    Returns:
        The mean over all pairs of members; 0 for a single one.
    """
    classes = _checked_members(members).argmax(axis=2)  # m x n
    pairs = list(combinations(classes, 2))
    return float(np.mean([(a != b).mean() for a, b in pairs])) if pairs else 0.0


def _checked_members(members: Probabilities) -> NDArray[np.float64]:
    found = np.asarray(members, dtype=np.float64)
    if found.ndim != 3 or 0 in found.shape:
        raise ValueError(
            f"`members` has the shape {found.shape}; needed is (members, images, classes), none "
            "of them zero."
        )
    _check_finite("members", found)
    return found


def _checked(
    probabilities: Probabilities, labels: Labels
) -> tuple[NDArray[np.float64], NDArray[np.integer[Any]]]:
    given, right = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if given.ndim != 2 or 0 in given.shape or right.shape != given.shape[:1]:
        raise ValueError(
            f"`probabilities` has the shape {given.shape} and `labels` {right.shape}; needed are "
            "(images, classes) and (images,), of at least one image."
        )
    _check_finite("probabilities", given)
    return given, right


def _check_finite(name: str, given: NDArray[np.float64]) -> None:
    lost = given.size - int(np.isfinite(given).sum())
    if lost:
        raise ValueError(
            f"`{name}` has {lost} of {given.size} values that are not finite; allowed are "
            "probabilities. A network that gives others has diverged."
        )
