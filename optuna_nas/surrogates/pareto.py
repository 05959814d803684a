"""Several objectives at once: domination, crowding and hypervolume; lower is better throughout.

A vector *dominates* another if it is nowhere worse and somewhere better. The *front* is what
nothing dominates. The *hypervolume* of a front is the volume of what it dominates within a
reference point, and the *improvement* of a vector is the volume it would add.

References: K. Deb et al., *A fast and elitist multiobjective genetic algorithm: NSGA-II*, 2002
(ranks, crowding); the boxes are Optuna's (R. Lacour, K. Klamroth, C. M. Fonseca, arXiv
1510.01963), which makes the improvement of many vectors one sum over boxes.
"""

from __future__ import annotations

import numpy as np

from optuna_nas import _optuna
from optuna_nas._ranking import on_front

_MARGIN = 0.1
"""The reference point lies this share of the extent of all values beyond the worst ones."""


def domination_ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each of `n` vectors: 0 on the front, 1 on the front without those, ...

    Args:
        values: The vectors, `n x k`.
    """
    nowhere_worse = (values[:, None] <= values).all(axis=2)
    dominates = np.asarray(nowhere_worse & ~nowhere_worse.T)
    dominators = dominates.sum(axis=0)
    ranks = np.full(len(values), -1)
    rank = 0
    while (ranks < 0).any():
        front = (ranks < 0) & (dominators == 0)
        ranks[front] = rank
        dominators = dominators - dominates[front].sum(axis=0)
        rank += 1
    return ranks


def crowding_distances(values: np.ndarray) -> np.ndarray:
    """Return how far apart the neighbours of each vector are; infinite at the ends.

    Args:
        values: The vectors of one rank, `n x k`.
    """
    distances = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        extent = column[order[-1]] - column[order[0]]
        if extent > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / extent
            distances[order[[0, -1]]] = np.inf
    return distances


def front_of(values: np.ndarray) -> np.ndarray:
    """Return the different vectors that no other one dominates, `f x k`, sorted."""
    distinct = np.unique(values, axis=0)
    return np.asarray(distinct[on_front(distinct)])


def reference_point(values: np.ndarray) -> np.ndarray:
    """Return the point within which the hypervolume of some vectors counts.

    In each objective it is the worst of all values plus a tenth of their extent. The worst value
    on the front would not do: what extends the front at an end lies beyond it.

    Args:
        values: The vectors, `n x k`.
    """
    extent = np.ptp(values, axis=0)
    return np.asarray(values.max(axis=0) + _MARGIN * np.where(extent > 0, extent, 1.0))


class Improvement:
    """The hypervolume that vectors would add to a front.

    Args:
        front: The vectors known so far, `n x k` with `k` of 2 or more.
        reference: The reference point, `k`.
    """

    def __init__(self, front: np.ndarray, reference: np.ndarray) -> None:
        self._front = front_of(front)
        # Boxes that together are all that nothing dominates, within the reference point.
        inside = self._front[(self._front < reference).all(axis=1)]
        if len(inside):
            self._lower, self._upper = _optuna.get_non_dominated_box_bounds(inside, reference)
        else:
            self._lower = np.full((1, len(reference)), -np.inf)
            self._upper = reference[None]

    def volume(self, vectors: np.ndarray) -> np.ndarray:
        """Return the improvement of each of `n` vectors; zero for the dominated ones.

        Args:
            vectors: The vectors, `n x k`, finite.
        """
        volumes = np.ones((len(vectors), len(self._upper)))  # n x boxes
        for column, lower, upper in zip(vectors.T, self._lower.T, self._upper.T, strict=True):
            volumes *= (upper - np.maximum(column[:, None], lower)).clip(min=0)
        return np.asarray(volumes.sum(axis=1))

    def shortfall(self, vectors: np.ndarray) -> np.ndarray:
        """Return by how much each vector would have to be better everywhere to join the front.

        Args:
            vectors: The vectors, `n x k`.
        """
        gaps = (vectors[:, None] - self._front).min(axis=2)  # n x f
        return np.asarray(gaps.max(axis=1).clip(min=0))
