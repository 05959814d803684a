"""Acquisition functions: which candidate to evaluate next.

Each maps the predictions of an ensemble to a score, lower is better. With the mean `mu` and the
population standard deviation `sigma` over the members and the best error so far `y`:

- `its`: one draw of `N(mu, sigma^2)` for each candidate, independently (White et al. 2021);
- `calm_its`: the same of `N(mu, (0.6 sigma)^2)`;
- `ts`: the predictions of one member, drawn once for all candidates;
- `ucb`: `mu - sigma / 2`;
- `ei`: minus the expected improvement, `-s (g Phi(g) + phi(g))` with `g = (y - mu) / s`;
- `pi`: minus the probability of improvement, `-Phi((y - mu) / sigma)`.

Reference: as in :mod:`optuna_nas.surrogates.encodings`.

*Departures*: the published code divides `sigma` by five in `ei` (a calibration factor found on one
benchmark); here `s = sigma`. Without any spread, `ei` and `pi` fall back to their limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Acquisition = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""`(members, incumbent, rng) -> scores`: `e x m` predictions, the best error, `m` scores."""

_CALM = 0.6
"""The part of the standard deviation. With all of it eight workers explored too much, and with 0.3
some searches got stuck (NAS-Bench-201)."""


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
    """Minus the expected improvement over the incumbent."""
    mean, spread = members.mean(axis=0), members.std(axis=0)
    gain = incumbent - mean
    z = np.divide(gain, spread, out=np.zeros_like(gain), where=spread > 0)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    expected = np.where(spread > 0, gain * _normal_cdf(z) + spread * density, gain.clip(min=0))
    return np.asarray(-expected)


def pi(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
    """Minus the probability to improve on the incumbent."""
    gain, spread = incumbent - members.mean(axis=0), members.std(axis=0)
    limit = np.select([gain > 0, gain < 0], [np.inf, -np.inf], 0.0)
    return -_normal_cdf(np.divide(gain, spread, out=limit, where=spread > 0))


_erf = np.vectorize(math.erf, otypes=[float])


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    return np.asarray((1 + _erf(z / math.sqrt(2))) / 2)
