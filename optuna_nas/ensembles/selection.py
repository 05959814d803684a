"""Which members make the best ensemble: by trying all, or by adding one after the other.

Both minimise the negative log-likelihood of the mean of the members' probabilities. A candidate
whose probabilities are not all finite has diverged and is never chosen.

- *exhaustive*: every combination of `size` members is tried, as in EdgeNES.
- *forward*: the best single member first, then in turn the one with which the ensemble is best,
  each at most once, until there are `size`. A member is added even if the ensemble is worse with
  it: the size is asked for.

References: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120; forward
selection without replacement as in S. Zaidi et al., "Neural Ensemble Search for Uncertainty
Estimation and Dataset Shift", NeurIPS 2021, arXiv:2006.08573.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas.ensembles.measures import Labels, Probabilities, negative_log_likelihood

MOST_COMBINATIONS = 50_000
"""With more combinations than this, :func:`best_ensemble` selects forward. So many, of three each,
take about two seconds with 1,000 images and ten with 10,000."""


def best_ensemble(members: Probabilities, labels: Labels, size: int) -> tuple[int, ...]:
    """Choose the members of an ensemble.

    All combinations are tried, unless there are more than `MOST_COMBINATIONS`: then members are
    selected forward.

    Args:
        members: The probabilities of each candidate, `m x n x c`, on images that none has been
            trained on.
        labels: The right classes, `n`.
        size: How many to choose.

    Returns:
        The numbers of the chosen ones, in ascending order.

    Raises:
        ValueError: There are fewer candidates with finite probabilities than are to be chosen.
    """
    if math.comb(len(_candidates(members, size)), size) <= MOST_COMBINATIONS:
        return exhaustive_selection(members, labels, size)
    return tuple(sorted(forward_selection(members, labels, size)))


def exhaustive_selection(members: Probabilities, labels: Labels, size: int) -> tuple[int, ...]:
    """Choose the best of all combinations, the first of equally good ones.

    Args:
        members: The probabilities of each candidate, `m x n x c`.
        labels: The right classes, `n`.
        size: How many to choose.

    Returns:
        The numbers of the chosen ones, in ascending order.

    Raises:
        ValueError: There are fewer candidates with finite probabilities than are to be chosen.
    """
    candidates = _candidates(members, size)
    right = _right_class(members, labels)  # m x n x 1: all that a likelihood depends on

    def loss(chosen: tuple[int, ...]) -> float:
        return _loss(right[list(chosen)].mean(axis=0))

    return min(combinations(candidates, size), key=loss)


def forward_selection(members: Probabilities, labels: Labels, size: int) -> tuple[int, ...]:
    """Choose one member after the other.

    Args:
        members: The probabilities of each candidate, `m x n x c`.
        labels: The right classes, `n`.
        size: How many to choose.

    Returns:
        The numbers of the chosen ones, in the order in which they were added.

    Raises:
        ValueError: There are fewer candidates with finite probabilities than are to be chosen.
    """
    candidates = _candidates(members, size)
    right = _right_class(members, labels)
    chosen: list[int] = []
    total = np.zeros_like(right[0])
    while len(chosen) < size:
        losses = {
            new: _loss((total + right[new]) / (len(chosen) + 1))
            for new in candidates
            if new not in chosen
        }
        best = min(losses, key=losses.__getitem__)
        chosen.append(best)
        total = total + right[best]
    return tuple(chosen)


def _right_class(members: Probabilities, labels: Labels) -> Probabilities:
    found = np.asarray(members, dtype=np.float64)
    return found[:, np.arange(found.shape[1]), np.asarray(labels), None]


def _loss(right: Probabilities) -> float:
    return negative_log_likelihood(right, np.zeros(len(right), dtype=np.int64))


def _candidates(members: Probabilities, size: int) -> list[int]:
    """The numbers of those that may be chosen."""
    checked_integer("size", size, 1, max(len(members), 1))
    finite = np.isfinite(np.asarray(members, dtype=np.float64)).all(axis=(1, 2))
    candidates: list[int] = np.flatnonzero(finite).tolist()
    if len(candidates) < size:
        raise ValueError(
            f"`size` is {size}, but only {len(candidates)} of {len(members)} candidates have "
            "finite probabilities; the trainings of the others diverged."
        )
    return candidates
