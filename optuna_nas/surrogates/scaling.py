"""Numbers of any size, made so that nothing computed from them overflows.

What is learnt and compared depends on ratios of differences only: on no unit. So where numbers are
so large that their differences or squares would be infinite, all of them are divided by a power of
two, which is exact.
"""

from __future__ import annotations

import numpy as np

_LARGE = 2.0**200
"""Sums of squares of anything smaller are far from overflowing."""


def tamed(values: np.ndarray, *, axis: int | None = None) -> np.ndarray:
    """Return numbers divided by a power of two, if the largest one is too large to compute with.

    Args:
        values: Finite numbers, of any shape.
        axis: Each slice along this axis has a divisor of its own; None has one for all. What is
            divided keeps its sign: it does not become zero.
    """
    size = np.abs(values).max(axis=axis, initial=0.0, keepdims=True)
    if not (size > _LARGE).any():
        return values
    exponent = np.where(size > _LARGE, np.frexp(size)[1], 0)
    small = np.ldexp(values, -exponent)
    least = np.where(values == 0, 0.0, np.copysign(np.finfo(float).tiny, values))
    return np.asarray(np.where(np.abs(small) < np.abs(least), least, small))
