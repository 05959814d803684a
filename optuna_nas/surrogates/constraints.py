"""Constraints: what is learnt of them, and how they rank candidates.

A constraint is met up to zero. Its values are learnt as `sign(c) log(1 + |c| / s)` with `s` the
median of `|c|`: zero stays zero, and differences count most close to it, where it is decided
whether a candidate is feasible. Candidates rank by the rules of Deb (2000): the feasible ones
first, by their score, then the others by how much they violate all constraints together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.surrogates.scaling import tamed

_SPREAD = 0.25
"""Constraints are drawn with this share of the ensemble's deviation. The best candidates lie just
beyond the limit, so of many full draws the luckiest, not the feasible, would win."""


def constraint_targets(values: np.ndarray) -> np.ndarray:
    """Return what a predictor learns of a constraint, `n` targets for `n` values."""
    sizes = np.abs(tamed(values))
    scale = np.median(sizes) or sizes.mean() or 1.0
    return np.asarray(np.sign(values) * np.log1p(sizes / scale))


def drawn_violations(constraints: Sequence[np.ndarray], seed: Sequence[int]) -> np.ndarray:
    """Return the total violation of each candidate in one draw of its constraints.

    Args:
        constraints: The predictions of each constraint, `e x n`.
        seed: Seed of the draws.

    Returns:
        `n` sums of what exceeds zero; zero is feasible.
    """
    total = np.zeros(constraints[0].shape[1])
    for place, members in enumerate(constraints):
        rng = np.random.default_rng([*seed, place])
        total += rng.normal(members.mean(axis=0), _SPREAD * members.std(axis=0)).clip(min=0)
    return total


def feasible_first(scores: np.ndarray, violations: np.ndarray, scale: float) -> np.ndarray:
    """Return one number for both, lower is better: above one for whatever is infeasible.

    Args:
        scores: The scores of `n` candidates.
        violations: Their violations; zero is feasible.
        scale: A number of the size of the scores' differences.
    """
    within = np.arctan(scores / scale) / np.pi  # from -1/2 to 1/2, in the same order
    return np.where(violations > 0, 1 + violations, within)
