"""How good a predictor is, measured on architectures that it has not seen.

1. :func:`cross_validate`: the data are split into folds at random; each fold is predicted by a
   predictor that was fitted to the others.
2. :func:`calibration`: the members are taken as a normal distribution with their mean and
   population standard deviation, as the acquisition functions take them. Of the central intervals
   of this distribution that should hold a share `p` of the targets, so many do hold them. The
   *expected calibration error* is the mean difference of the two over `p = 0.05, ..., 0.95`: zero
   is perfect, near 0.5 is a predictor that is nearly always wrong about its uncertainty.

Reference: V. Kuleshov, N. Fenner, S. Ermon, *Accurate Uncertainties for Deep Learning Using
Calibrated Regression*, ICML 2018, arXiv 1807.00263.

*Departures*: central intervals instead of quantiles, because the spread of an ensemble says
nothing of the side. For the likelihood a spread below a thousandth of that of the targets is
raised to it: members that agree completely would be infinitely wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optuna_nas._checks import checked_integer
from optuna_nas._threads import single_blas_thread

if TYPE_CHECKING:
    from optuna_nas.surrogates.predictors import Predictor

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The nominal coverages that calibration is measured at."""

_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Calibration:
    """What predictions are worth.

    Attributes:
        nominal: The shares of targets that the intervals should hold, :data:`LEVELS`.
        observed: The shares that they do hold, as many.
        error: The expected calibration error, from 0 to 1.
        overconfidence: The mean of nominal minus observed: positive for intervals that are too
            narrow, negative for too wide ones.
        nll: The mean negative log likelihood of a target, in nats, for targets in units of their
            own standard deviation.
        spearman: The rank correlation of the mean prediction with the targets.
        r2: The share of the targets' variance that the mean prediction explains; negative if it
            is worse than a constant.
    """

    nominal: tuple[float, ...]
    observed: tuple[float, ...]
    error: float
    overconfidence: float
    nll: float
    spearman: float
    r2: float


def cross_validate(
    predictor: Predictor,
    features: np.ndarray,
    targets: np.ndarray,
    rng: np.random.Generator,
    *,
    folds: int = 10,
) -> NDArray[np.float64]:
    """Predict every target by a predictor that has not seen it.

    Args:
        predictor: It is fitted `folds` times.
        features: Encoded architectures, `n x d`.
        targets: Their errors, `n`.
        rng: Draws the folds, and is the source of randomness of the fits.
        folds: How many; `n` or more leave one out at a time.

    Returns:
        The members' predictions, `e x n`.

    Raises:
        ValueError: There are fewer than three targets, `folds` is below 2, or the numbers of
            features and targets differ.
    """
    number = len(targets)
    if number < 3:
        raise ValueError(f"`targets` has {number} entries; cross-validation needs 3 or more.")
    if len(features) != number:
        raise ValueError(f"`features` has {len(features)} rows, but `targets` {number} entries.")
    folds = min(checked_integer("folds", folds, 2), number)
    held_out = np.array_split(rng.permutation(number), folds)
    predicted: list[np.ndarray] = []
    for fold in held_out:
        others = np.setdiff1d(np.arange(number), fold)
        with single_blas_thread():
            predictor.fit(features[others], targets[others], rng)
            predicted.append(predictor.predict(features[fold]))  # e x f
    members = np.empty((len(predicted[0]), number))
    for fold, part in zip(held_out, predicted, strict=True):
        members[:, fold] = part
    return members


def calibration(members: np.ndarray, targets: np.ndarray) -> Calibration:
    """Compare predictions with what came true.

    Args:
        members: The members' predictions, `e x n`.
        targets: What came true, `n`.

    Raises:
        ValueError: The shapes do not match, or there are fewer than two targets.
    """
    if members.ndim != 2 or members.shape[1] != len(targets) or len(targets) < 2:
        raise ValueError(
            f"`members` has the shape {members.shape} and `targets` {len(targets)} entries; "
            "needed are e x n and n, with n of 2 or more."
        )
    mean, spread = members.mean(axis=0), members.std(axis=0)
    away = np.abs(targets - mean)
    reach = np.array([NormalDist().inv_cdf((1 + level) / 2) for level in LEVELS])
    observed = (away <= reach[:, None] * spread).mean(axis=1)
    gaps = np.array(LEVELS) - observed
    scale = float(targets.std()) or 1.0
    sigma = np.maximum(spread / scale, _LEAST_SPREAD)
    nll = 0.5 * np.log(2 * np.pi * sigma**2) + 0.5 * (away / scale / sigma) ** 2
    variance = float(targets.var())
    return Calibration(
        LEVELS,
        tuple(float(share) for share in observed),
        float(np.abs(gaps).mean()),
        float(gaps.mean()),
        float(nll.mean()),
        rank_correlation(mean, targets),
        1 - float((away**2).mean()) / variance if variance else 0.0,
    )


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation of `n` pairs; 0 if either has equal values only."""
    a, b = (_ranks(values) for values in (first, second))
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray) -> NDArray[np.float64]:
    """The rank of each value; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return ranks
