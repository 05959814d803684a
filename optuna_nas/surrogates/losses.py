"""Losses of the predictors.

A loss is a function of the residual, weighted by the target: `mean_i w(y_i) rho(yhat_i - y_i)`.
Targets are errors, lower is better.

- MAE: `w = 1`, `rho = |r|`;
- MSE: `w = 1`, `rho = r^2`;
- MAPE with a lower bound: `mean |(yhat - y_LB) / (y - y_LB) - 1|`, which is the MAE with weights
  `w = 1 / (y - y_LB)`: the nearer to the bound, the more an error counts (White et al. 2021).

Only the ratio of the weights matters to the fit, so weights are scaled to a mean of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Loss(ABC):
    """A weighted mean of a function of the residual."""

    def weights(self, targets: np.ndarray) -> np.ndarray:
        """The weight of each target, with a mean of one.

        Args:
            targets: `n` observed errors, in any unit.

        Returns:
            `n` positive weights.
        """
        return np.ones(len(targets))

    @abstractmethod
    def penalty(self, residuals: np.ndarray) -> np.ndarray:
        """The unweighted penalty of each residual, of the same shape."""

    @abstractmethod
    def slope(self, residuals: np.ndarray) -> np.ndarray:
        """The derivative of the penalty, of the same shape."""

    def __call__(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        """The loss of `n` predictions; zero exactly when all are right."""
        return float(np.mean(self.weights(targets) * self.penalty(predictions - targets)))


class MAE(Loss):
    """Mean absolute error."""

    def penalty(self, residuals: np.ndarray) -> np.ndarray:
        """The absolute residual."""
        return np.asarray(np.abs(residuals))

    def slope(self, residuals: np.ndarray) -> np.ndarray:
        """The sign of the residual."""
        return np.asarray(np.sign(residuals))


class MSE(Loss):
    """Mean squared error."""

    def penalty(self, residuals: np.ndarray) -> np.ndarray:
        """The squared residual."""
        return residuals**2

    def slope(self, residuals: np.ndarray) -> np.ndarray:
        """Twice the residual."""
        return 2 * residuals


class MAPE(MAE):
    """Mean absolute percentage error above a lower bound of the error.

    Args:
        lower_bound: A number below every error, in the unit of the errors (as they are minimised:
            minus the accuracy, if the study maximises accuracy). None takes, at each fit, one
            standard deviation below the best error observed.
    """

    def __init__(self, lower_bound: float | None = None) -> None:
        self.lower_bound = lower_bound

    def bound(self, targets: np.ndarray) -> float:
        """The lower bound in use.

        Raises:
            ValueError: A target does not lie above the bound.
        """
        if self.lower_bound is None:
            return float(targets.min() - (targets.std() or 1.0))
        if targets.min() <= self.lower_bound:
            raise ValueError(
                f"`lower_bound` is {self.lower_bound}, but an error of {targets.min()} was "
                "observed; allowed is a number below every error."
            )
        return self.lower_bound

    def weights(self, targets: np.ndarray) -> np.ndarray:
        """The inverse distance of each target to the bound, scaled to a mean of one."""
        inverse = 1 / (targets - self.bound(targets))
        return np.asarray(inverse / inverse.mean())

    def __call__(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        """`mean |(yhat - y_LB) / (y - y_LB) - 1|`."""
        distance = targets - self.bound(targets)
        return float(np.mean(np.abs(predictions - targets) / distance))
