"""The default encoding: as few columns as the data allow.

1. With a few dozen trainings a predictor ranks architectures best from their structure alone. But
   structure is blind for positions, and an objective may depend on little else.
2. So at each fit a linear model learns from the structure, and another one from positions, paths
   and counts. Ridge regression has its leave-one-out error in closed form, and the best of a few
   strengths of regularisation counts.
3. The structure is taken, unless the error of the other is far smaller.

Who asks for details gets positions always: a front of several objectives is long, and what tells
its ends apart are details; and what paths do cannot be learnt without them. In a space without
operations there is nothing else than one-hot columns and numbers.

Reference: T. Hastie, R. Tibshirani, J. Friedman, *The Elements of Statistical Learning*, 2009,
section 7.10.1 (leave-one-out errors of linear smoothers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optuna_nas.surrogates.encodings import Encoding
from optuna_nas.surrogates.operation_counts import FoldedCountsEncoding
from optuna_nas.surrogates.structure import StructureEncoding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optuna_nas.spaces import Architecture, SearchSpace

_FAR_SMALLER = 0.7
"""The share of the other error from which on positions count. On NAS-Bench-101 and -201 it is
nearly never less; if the positions decide alone it is half of that from thirty trainings on."""

_STRENGTHS = np.geomspace(1e-3, 10, 9)
"""Strengths of regularisation, in units of the mean eigenvalue of the Gram matrix."""

_MOST_ROWS = 200
"""From so many observations, spread evenly over all, the errors are taken."""


class AdaptiveEncoding(Encoding):
    """The structure of an architecture, or its positions where they explain far more.

    It is a choice of two encodings that each fit makes anew (:meth:`chosen`). As an encoding of
    its own it has the columns of both.
    """

    def __init__(self) -> None:
        self.structure: Encoding = StructureEncoding()
        self.positions: Encoding = FoldedCountsEncoding()

    def chosen(
        self,
        space: SearchSpace,
        targets: np.ndarray,
        encoded: Callable[[Encoding], np.ndarray],
        *,
        detailed: bool = False,
    ) -> Encoding:
        """The encoding that explains the targets (see :meth:`Encoding.chosen`)."""
        if detailed or len(self._known(space)) == 1:
            return self.positions
        number = len(targets)
        rows = np.unique(np.linspace(0, number - 1, min(number, _MOST_ROWS)).round().astype(int))
        structure, positions = (
            leave_one_out_error(encoded(encoding)[rows], targets[rows])
            for encoding in (self.structure, self.positions)
        )
        return self.positions if positions < _FAR_SMALLER * structure else self.structure

    def dimension(self, space: SearchSpace) -> int:
        """The number of columns of both."""
        return sum(encoding.dimension(space) for encoding in self._known(space))

    def parts(self, space: SearchSpace) -> dict[str, slice]:
        """The columns of the structure, and those of the positions."""
        cut, end = self._known(space)[0].dimension(space), self.dimension(space)
        if cut == end:
            return {"positions": slice(0, end)}
        return {"structure": slice(0, cut), "positions": slice(cut, end)}

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        return np.hstack([e.encode(space, architectures) for e in self._known(space)])

    def _known(self, space: SearchSpace) -> tuple[Encoding, ...]:
        return (self.structure, self.positions) if space.path_blocks else (self.positions,)


def leave_one_out_error(features: np.ndarray, targets: np.ndarray) -> float:
    """The mean squared error of ridge regression on rows that it has not seen.

    Args:
        features: `n x d`.
        targets: `n`; the error is in units of their variance.

    Returns:
        The least error of all strengths of regularisation; 0 if all targets are equal.
    """
    centred = np.asarray(features, dtype=np.float64) - features.mean(axis=0)
    scale = targets.std()
    if not scale > 0:
        return 0.0
    standardised = (targets - targets.mean()) / scale
    eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)  # n, n x n
    eigenvalues = np.maximum(eigenvalues, 0)
    projected = vectors.T @ standardised
    best = np.inf
    for strength in _STRENGTHS * (eigenvalues.mean() or 1.0):
        shrinkage = eigenvalues / (eigenvalues + strength)
        residuals = standardised - vectors @ (shrinkage * projected)
        leverage = vectors**2 @ shrinkage + 1 / len(targets)  # the mean is fitted, too
        held_out = residuals / np.maximum(1 - leverage, 1e-3)
        best = min(best, float(np.mean(held_out**2)))
    return best
