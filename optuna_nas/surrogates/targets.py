"""Target transforms: what the predictor learns instead of the raw errors.

- *identity*: the errors themselves.
- *log regret*: `log(e + d)` of the distance `e` to the best error so far, with
  `d = 0.3 median(e)`. Most architectures of a random start are far from the best, and in raw
  errors the few very bad ones make up the variance; on this scale differences among the good
  ones count most, which is where the search has to decide.

Both are increasing, so that lower stays better.
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
