"""The statistics of a comparison: intervals of means, and tests of paired differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def mean_interval(
    values: NDArray[np.float64], confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Student's confidence interval of the mean of each column.

    Args:
        values: `n x d`: a row for each seed.
        confidence: The confidence, from 0 to 1.

    Returns:
        The lower and upper ends, `d` each; equal to the mean for a single seed.
    """
    mean = values.mean(axis=0)
    if len(values) < 2:
        return mean, mean
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error
    return mean - half, mean + half


def signed_rank_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of paired values.

    Pairs without a difference take part in the ranking (Pratt's method): on a table both samplers
    often find the best architecture, and to leave these pairs out would exaggerate the others.

    Args:
        first: A value for each seed.
        second: Another, for the same seeds.

    Returns:
        The p-value; 1 if all differences are zero or there are none.
    """
    if len(first) == 0 or np.array_equal(first, second):
        return 1.0
    return float(stats.wilcoxon(first, second, zero_method="pratt").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many tests were made, by Holm's step-down method."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = highest
    return adjusted
