"""Values on the scale of their normal scores, and back.

The values that were seen are replaced by the quantiles of the normal distribution at their ranks,
equal ones by that of their mean rank. Whatever a metric's distribution (accuracies have a long
tail of cells that learn nothing), a model of scores fits one that is normal, and every part of the
ranking weighs the same. Back it goes by linear interpolation between the values that were seen,
and beyond them along the slope of the outer tenth.

Reference: W. J. Conover, *Practical Nonparametric Statistics*, 3rd edition, 1999, section 5.10
(van der Waerden's scores).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_OUTER = 0.1


class NormalScores:
    """The scale that some values make.

    Args:
        values: `n` finite numbers, at least two of them different.
    """

    def __init__(self, values: np.ndarray) -> None:
        ordered, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
        ranks = np.cumsum(counts) - (counts - 1) / 2  # from 1; equal values share their mean
        quantile = NormalDist().inv_cdf
        self._values = ordered
        self._scores = np.array([quantile((rank - 0.5) / len(values)) for rank in ranks])

    def score(self, values: np.ndarray) -> NDArray[np.float64]:
        """The scores of values."""
        return self._map(values, self._values, self._scores)

    def value(self, scores: np.ndarray) -> NDArray[np.float64]:
        """The values at scores."""
        return self._map(scores, self._scores, self._values)

    @staticmethod
    def _map(given: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> NDArray[np.float64]:
        given = np.asarray(given, dtype=np.float64)
        outer = max(1, round(_OUTER * (len(known) - 1)))
        below = (wanted[outer] - wanted[0]) / (known[outer] - known[0])
        above = (wanted[-1] - wanted[-1 - outer]) / (known[-1] - known[-1 - outer])
        found = np.interp(given, known, wanted)
        found += below * np.minimum(given - known[0], 0) + above * np.maximum(given - known[-1], 0)
        return np.asarray(found)
