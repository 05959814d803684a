"""Criteria: what makes one candidate better than another, from its predicted objectives.

- With one objective the acquisition function alone decides.
- *hypervolume*: the acquisition gives each objective a value (its draw, with Thompson sampling),
  and the candidate whose vector adds most hypervolume to the front wins. Those that add nothing
  follow by how far they are from the front. In a batch each choice joins the front.
- *chebyshev*: random weights turn the objectives of each ensemble member into one error,
  `max_j w_j z_j + rho sum_j w_j z_j` with `z_j` from 0 at the best to 1 at the worst value on the
  front; the acquisition then decides as with one objective. Each trial of a batch has its own
  weights, uniform among all that sum to one.

References: S. Daulton, M. Balandat, E. Bakshy, *Differentiable Expected Hypervolume Improvement*,
NeurIPS 2020 (greedy batches); J. Knowles, *ParEGO*, IEEE Trans. Evol. Comp. 2006 (weights).

*Departures*: the improvement is that of one value for each objective, not its expectation, so that
the acquisitions of a single objective serve several as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from optuna_nas.surrogates.acquisition import Acquisition
from optuna_nas.surrogates.pareto import Improvement, front_of, reference_point

Seed = Sequence[int]


class Criterion(ABC):
    """Scores candidates by the predictions of their objectives; lower is better.

    Each candidate is scored on its own, and at the same place of the sequence it always gets the
    same score: all randomness is drawn anew from the seed, one candidate after the other.
    """

    scale: float = 1.0
    """The size of differences among the scores."""

    @abstractmethod
    def scores(self, members: Sequence[np.ndarray], chosen: Sequence[int] = ()) -> np.ndarray:
        """Score the candidates.

        Args:
            members: The predictions of each of `k` objectives, `e x n`.
            chosen: Which of the candidates the batch has already.

        Returns:
            `n` scores.
        """


CriterionFactory = Callable[[np.ndarray, Acquisition, Seed], Criterion]
"""`(observed, acquisition, seed) -> criterion`: `n x k` targets so far, lower is better."""


class SingleCriterion(Criterion):
    """The acquisition function, for one objective.

    Args:
        observed: The targets observed so far, `n x 1`.
        acquisition: The acquisition function.
        seed: Seed of its randomness.
    """

    def __init__(self, observed: np.ndarray, acquisition: Acquisition, seed: Seed) -> None:
        self._incumbent = float(observed.min())
        self.scale = float(observed.std()) or 1.0
        self._acquisition = acquisition
        self._seed = seed

    def scores(self, members: Sequence[np.ndarray], chosen: Sequence[int] = ()) -> np.ndarray:
        """Score by the acquisition; what is chosen already does not matter."""
        return self._acquisition(members[0], self._incumbent, np.random.default_rng(self._seed))


class HypervolumeCriterion(Criterion):
    """Hypervolume improvement, for an acquisition whose scores are values of the objective.

    Args:
        observed: The targets observed so far, `n x k`.
        acquisition: The acquisition function: `its`, `ts`, `ucb` or alike.
        seed: Seed of its randomness.
    """

    def __init__(self, observed: np.ndarray, acquisition: Acquisition, seed: Seed) -> None:
        self._acquisition = acquisition
        self._seed = seed
        self._incumbents = observed.min(axis=0)
        self._scale = np.ptp(observed, axis=0)
        self._scale[self._scale == 0] = 1.0
        self._known = observed / self._scale
        self._reference = reference_point(self._known)
        self._improvement = Improvement(self._known, self._reference)

    def scores(self, members: Sequence[np.ndarray], chosen: Sequence[int] = ()) -> np.ndarray:
        """Score by minus the improvement; by the distance to the front where there is none."""
        columns = [
            self._acquisition(m, float(incumbent), np.random.default_rng([*self._seed, j]))
            for j, (m, incumbent) in enumerate(zip(members, self._incumbents, strict=True))
        ]
        drawn = np.stack(columns, axis=1) / self._scale  # n x k
        improvement = self._improvement
        if len(chosen):
            known = np.concatenate([self._known, drawn[list(chosen)]])
            improvement = Improvement(known, self._reference)
        gain = improvement.volume(drawn)
        return np.where(gain > 0, -gain, improvement.shortfall(drawn))


class ChebyshevCriterion(Criterion):
    """Randomly weighted augmented Chebyshev distance to the ideal point, for any acquisition.

    Args:
        observed: The targets observed so far, `n x k`.
        acquisition: The acquisition function.
        seed: Seed of its randomness and of the weights.
        rho: How much the sum of the objectives counts beside the worst of them.
    """

    def __init__(
        self, observed: np.ndarray, acquisition: Acquisition, seed: Seed, *, rho: float = 0.05
    ) -> None:
        self._acquisition = acquisition
        self._seed = seed
        self._rho = rho
        front = front_of(observed)
        self._ideal = observed.min(axis=0)
        extent = np.ptp(front, axis=0)
        extent = np.where(extent > 0, extent, np.ptp(observed, axis=0))
        self._extent = np.where(extent > 0, extent, 1.0)
        self._observed = observed

    def weights(self, place: int) -> np.ndarray:
        """Return the weights of the trial at a place of the batch, `k`."""
        rng = np.random.default_rng([*self._seed, 1, place])
        return rng.dirichlet(np.ones(len(self._ideal)))

    def scores(self, members: Sequence[np.ndarray], chosen: Sequence[int] = ()) -> np.ndarray:
        """Score by the acquisition of the weighted errors of the next trial of the batch."""
        weights = self.weights(len(chosen))
        incumbent = float(self._errors(list(self._observed.T), weights).min())
        rng = np.random.default_rng([*self._seed, 0])
        return self._acquisition(self._errors(members, weights), incumbent, rng)

    def _errors(self, objectives: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """The weighted error of each member, in the shape of one objective."""
        parts = [
            weight * (values - ideal) / extent
            for weight, values, ideal, extent in zip(
                weights, objectives, self._ideal, self._extent, strict=True
            )
        ]
        return np.asarray(np.max(parts, axis=0) + self._rho * np.sum(parts, axis=0))
