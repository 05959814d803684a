"""Acquisition functions: which candidate to evaluate next.

Each maps the predictions of an ensemble to a score, lower is better. With the mean `mu` and the
population standard deviation `sigma` over the members and the best error so far `y`:

- `its`: one draw of `N(mu, sigma^2)` for each candidate, independently (White et al. 2021);
- `calm_its`: the same of `N(mu, (0.6 sigma)^2)`;
- `ts`: the predictions of one member, drawn once for all candidates;
- `ucb`: `mu - sigma / 2`;
- `ei`: minus the logarithm of the expected improvement, `-log(s (z Phi(z) + phi(z)))` with
  `z = (y - mu) / s`;
- `pi`: minus the logarithm of the probability of improvement, `-log Phi(z)`.

Both are computed as logarithms. A few deviations above the incumbent the improvement itself is
zero in double precision, and of candidates that are all zero the first would win, not the best.

References: as in :mod:`optuna_nas.surrogates.encodings`; S. Ament et al., *Unexpected Improvements
to Expected Improvement for Bayesian Optimization*, NeurIPS 2023, arXiv 2310.20708 (logarithms).

*Departures*: the published code divides `sigma` by five in `ei` (a calibration factor found on one
benchmark); here `s = sigma`. Without any spread, `ei` and `pi` fall back to their limits, and what
cannot improve follows all others, ordered by its mean.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

Acquisition = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""`(members, incumbent, rng) -> scores`: `e x m` predictions, the best error, `m` scores."""

_CALM = 0.6
"""The part of the standard deviation. With all of it eight workers explored too much, and with 0.3
some searches got stuck (NAS-Bench-201)."""

_LOG_ROOT_TAU = math.log(2 * math.pi) / 2
_FAR = 20.0
"""So many deviations away the series has converged after its terms below."""

_SERIES = (34459425.0, -2027025.0, 135135.0, -10395.0, 945.0, -105.0, 15.0, -3.0, 0.0)
"""Of `t^2 (1 - t R(t)) - 1` in `1 / t^2`, the highest power first."""

_NO_DENSITY = 37.0
"""From here on the density is nothing beside the gain."""

_NEVER, _SURE = 1e300, 1e-300
"""Scores of what cannot improve, and of what improves for sure."""


def its(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """Independent Thompson sampling: an own draw of the posterior for each candidate."""
    return np.asarray(rng.normal(members.mean(axis=0), members.std(axis=0)))


def calm_its(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """Independent Thompson sampling with a part of the standard deviation.

    For trials side by side: what is chosen knows nothing of those under way, so that the workers
    explore by themselves.
    """
    return np.asarray(rng.normal(members.mean(axis=0), _CALM * members.std(axis=0)))


def ts(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """Thompson sampling: one member for all candidates."""
    return np.asarray(members[rng.integers(len(members))])


def ucb(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """The optimistic bound, half a standard deviation below the mean."""
    return np.asarray(members.mean(axis=0) - 0.5 * members.std(axis=0))


def ei(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """Minus the logarithm of the expected improvement over the incumbent."""
    gain, spread, z = _standardised(members, incumbent)
    uncertain = np.isfinite(z)
    with np.errstate(divide="ignore"):
        log_improvement = np.log(gain.clip(min=0))
    log_improvement[uncertain] = np.log(spread[uncertain]) + log_ei(z[uncertain])
    return _best_first(log_improvement, gain)


def pi(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """Minus the logarithm of the probability to improve on the incumbent."""
    from scipy.special import log_ndtr

    gain, spread, z = _standardised(members, incumbent)
    z[(spread == 0) & (gain == 0)] = 0.0
    return _best_first(log_ndtr(z), gain)


def log_ei(z: np.ndarray) -> np.ndarray:
    """Return `log(z Phi(z) + phi(z))`, to double precision anywhere.

    Args:
        z: Standardised gains, finite.
    """
    from scipy.special import erfcx, ndtr

    t = np.maximum(-z, 1.0)
    with np.errstate(over="ignore"):
        log_density = -(t**2) / 2 - _LOG_ROOT_TAU
    # phi(t) (1 - t R(t)) with R, the ratio of Mills, from the scaled error function ...
    near = np.minimum(t, _FAR)
    tail = np.log1p(-near * math.sqrt(math.pi / 2) * erfcx(near / math.sqrt(2)))
    # ... and far out, where 1 - t R(t) would cancel, from its series in 1 / t^2.
    far = -2 * np.log(t) + np.log1p(np.polyval(_SERIES, np.maximum(t, _FAR) ** -2.0))
    here = np.maximum(z, -1.0)
    density = np.exp(-(np.minimum(here, _NO_DENSITY) ** 2) / 2 - _LOG_ROOT_TAU)
    usual = np.log(here * ndtr(here) + density)
    return np.asarray(np.where(z > -1, usual, log_density + np.where(t > _FAR, far, tail)))


def _standardised(
    members: np.ndarray, incumbent: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain over the incumbent, spread, and their ratio, infinite without any spread."""
    gain, spread = incumbent - members.mean(axis=0), members.std(axis=0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        z = np.where(gain == 0, np.where(spread > 0, 0.0, -np.inf), gain / spread)
    return gain, spread, z


def _best_first(logarithm: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Minus a logarithm; where that is infinite or zero, the gain decides."""
    size = np.maximum(np.abs(gain), sys.float_info.min) ** (1 / 64)  # from 1e-5 to 1e5
    scores = np.where(np.isneginf(logarithm), _NEVER * size, -logarithm)
    return np.where((logarithm == 0) & (gain > 0), -_SURE * size, scores)
