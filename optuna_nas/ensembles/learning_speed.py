"""Which of two methods learns faster: the area under its curve, and a test of the difference.

The publication of EdgeNES compares the accuracy by iteration of ensembles from one iteration on,
by Welch's test of the areas of several runs. The labels of its two areas look exchanged, so no
direction is taken for granted here.

Reference: B. L. Welch, "The generalization of 'Student's' problem when several different
population variances are involved", Biometrika 34, 1947.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats

Numbers: TypeAlias = Sequence[float] | NDArray[np.floating[Any]]


class SpeedTest(NamedTuple):
    """The result of a test.

    Attributes:
        difference: The mean of the first values minus that of the second.
        statistic: Welch's t.
        p_value: The two-sided p-value.
    """

    difference: float
    statistic: float
    p_value: float


def auc_after(iterations: Numbers, values: Numbers, start: float) -> float:
    """The area under a curve from an iteration on, by the trapezoidal rule.

    The curve is linear between its points, also at `start` if that is not one of them.

    Args:
        iterations: Where the curve has points, in ascending order.
        values: The values there.
        start: From where on the area counts.

    Returns:
        The area, in values times iterations; divide by the length for a mean.

    Raises:
        ValueError: The points are no curve, or `start` is not before its end.
    """
    x, y = np.asarray(iterations, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or not (np.diff(x) > 0).all():
        raise ValueError(
            f"`iterations` is {iterations!r} with {len(values)} values; needed are two or more "
            "iterations in ascending order, with a value each."
        )
    if not x[0] <= start < x[-1]:
        raise ValueError(f"`start` is {start!r}; allowed is from {x[0]:g} to below {x[-1]:g}.")
    later = x > start
    x, y = np.append(start, x[later]), np.append(np.interp(start, x, y), y[later])
    return float(integrate.trapezoid(y, x))


def welch_test(first: Numbers, second: Numbers) -> SpeedTest:
    """Test whether two methods have the same mean, with variances of their own.

    Args:
        first: A value for each run of the first method.
        second: A value for each run of the second one.

    Raises:
        ValueError: There are fewer than two values of one.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"`first` and `second` have {len(first)} and {len(second)} values; each needs 2 or "
            "more."
        )
    difference = float(np.mean(first) - np.mean(second))
    if np.ptp(first) == 0 and np.ptp(second) == 0:  # no variance to compare with
        equal = difference == 0
        statistic = 0.0 if equal else float(np.copysign(np.inf, difference))
        return SpeedTest(difference, statistic, 1.0 if equal else 0.0)
    result = stats.ttest_ind(first, second, equal_var=False)
    return SpeedTest(difference, float(result.statistic), float(result.pvalue))
