"""The interface of a predictor."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Predictor(Protocol):
    """Learns errors from encoded architectures and predicts them with an ensemble."""

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Forget earlier fits and learn.

        Args:
            features: The encoded architectures, `n x d`.
            targets: Their errors, `n`, lower is better.
            rng: The source of all randomness of the fit.
        """

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict errors.

        Args:
            features: The encoded architectures, `m x d`.

        Returns:
            The prediction of each member, `e x m`, in the unit of the targets.
        """
