"""Target transforms: what the predictor learns instead of the raw errors.

- *identity*: the errors themselves.
- *log regret*: `log(e + d)` of the distance `e` to the best error so far, with
  `d = 0.3 median(e)`. Most architectures of a random start are far from the best, and in raw
  errors the few very bad ones make up the variance; on this scale differences among the good
  ones count most, which is where the search has to decide.

Both are increasing, so that lower stays better.

With constraints the best error may be one that nothing feasible reaches, while the search has to
decide among those near the best feasible one. So a transform is applied *about* that one: to the
distances to it, with what is better mirrored to the other side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

TargetTransform = Callable[[np.ndarray], np.ndarray]
"""Maps `n` errors to `n` targets, lower is better in both."""

_OFFSET = 0.3


def identity(errors: np.ndarray) -> np.ndarray:
    """The errors as they are."""
    return errors


def log_regret(errors: np.ndarray) -> np.ndarray:
    """The logarithm of the distance to the best error, offset by a share of the median one."""
    regret = errors - errors.min()
    offset = _OFFSET * (np.median(regret) or regret.mean())
    if offset == 0:  # all errors are equal
        return np.zeros_like(regret)
    return np.asarray(np.log(regret + offset))


def about(errors: np.ndarray, pivot: float, transform: TargetTransform) -> np.ndarray:
    """Transform errors as if the pivot were the best of them.

    Args:
        errors: `n` errors.
        pivot: One of them. What is better than the pivot is mirrored on it, transformed, and
            mirrored back.
        transform: An increasing transform.
    """
    targets = transform(pivot + np.abs(errors - pivot))
    return np.where(errors < pivot, 2 * targets.min() - targets, targets)
