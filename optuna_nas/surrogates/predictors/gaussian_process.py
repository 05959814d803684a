"""A Gaussian process on distances between encoded architectures.

1. Targets are standardised. An encoding may describe an architecture in several ways, its
   parts: the covariance is a sum of one kernel for each part, `sum_p a_p^2 k(d_p / l_p)`, plus
   noise on the observations.
2. Amplitudes, lengths and the noise maximise the posterior density (marginal likelihood times
   log-normal priors) by L-BFGS with its gradient, on at most `max_rows` observations. Distances
   are measured in units of the mean one, so that the priors fit every encoding.
3. Predictions are samples of the posterior: functions drawn from the prior by random features,
   bent towards the observations (pathwise conditioning). For each architecture they are shifted
   and stretched so that their mean and standard deviation are exactly the posterior's; the random
   features only decide how they go together.

Reference: C. E. Rasmussen, C. K. I. Williams, *Gaussian Processes for Machine Learning*, 2006,
chapters 2 and 5; J. T. Wilson et al., *Efficiently Sampling Functions from Gaussian Process
Posteriors*, ICML 2020, arXiv 2002.09309. :meth:`GaussianProcess.published` is the baseline of the
BANANAS paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from optuna_nas._checks import checked_integer, checked_positive
from optuna_nas.surrogates.adaptive import AdaptiveEncoding
from optuna_nas.surrogates.encodings import Encoding, OneHotEncoding, PathEncoding
from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.kernels import Exponential, Kernel, Matern, distances

if TYPE_CHECKING:
    from optuna_nas.spaces import SearchSpace

_FEATURES = 200
"""Random features of a part."""

_NOISE = 0.05
"""The prior median of the noise variance, as a share of the variance of the targets."""

_SPREADS = (1.0, 2.0, 1.0)
"""Standard deviations of the log-normal priors of amplitudes (squared), lengths and noise."""

_RANGE = 8.0
"""How far from the prior median the logarithm of a hyperparameter may go."""


class Hyperparameters(NamedTuple):
    """What decides the covariance, for targets with a standard deviation of one.

    Attributes:
        amplitude: The prior standard deviation that a part contributes.
        length: The distance over which a part's correlation falls off, such as a number of
            differing bits.
        noise: The standard deviation of the noise.
    """

    amplitude: float
    length: float
    noise: float


class GaussianProcess(Predictor):
    """Gaussian process regression with one kernel for each part of the encoding.

    Args:
        kernel: The correlation as a function of the distance, `Matern()` by default.
        hyperparameters: Fixed ones, the same for all parts; None learns them.
        num_samples: How many samples a prediction has, `e`; at least 2.
        max_rows: The most observations that hyperparameters are learnt from, drawn at random.
            Predictions use all.
        encoding: What it learns from, unless the sampler is given an encoding.

    Raises:
        ValueError: A number is too small.
    """

    def __init__(
        self,
        *,
        kernel: Kernel | None = None,
        hyperparameters: Hyperparameters | None = None,
        num_samples: int = 16,
        max_rows: int = 200,
        encoding: Encoding | None = None,
    ) -> None:
        for name, value in (hyperparameters._asdict() if hyperparameters else {}).items():
            checked_positive(f"hyperparameters.{name}", value)
        self.kernel = kernel or Matern()
        self.hyperparameters = hyperparameters
        self.num_samples = checked_integer("num_samples", num_samples, 2)
        self.max_rows = checked_integer("max_rows", max_rows, 2)
        self.encoding = encoding or AdaptiveEncoding()
        self._parts: list[slice] | None = None
        self._covariance: _Covariance | None = None

    @classmethod
    def published(cls) -> GaussianProcess:
        """The baseline of the BANANAS paper: fixed hyperparameters on the path distance."""
        return cls(
            kernel=Exponential(),
            hyperparameters=Hyperparameters(amplitude=1.5, length=3.0**2, noise=1e-5),
            encoding=PathEncoding(otherwise=OneHotEncoding()),
        )

    def prepare(self, space: SearchSpace, encoding: Encoding) -> None:
        """Take the parts of the encoding (see :class:`Predictor`)."""
        self._parts = list(encoding.parts(space).values())

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Learn the hyperparameters and condition on the observations (see :class:`Predictor`)."""
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        standardised = (targets - self._mean) / self._scale
        parts = self._parts or [slice(0, features.shape[1])]
        covariance = _Covariance(self.kernel, parts, np.asarray(features, dtype=np.float64))
        if self.hyperparameters is None:
            chosen = rng.permutation(len(targets))[: self.max_rows]
            covariance.learn(np.sort(chosen), standardised)
        else:
            covariance.fix(self.hyperparameters)
        noise = np.exp(covariance.theta[-1] / 2)
        self._factor = _cholesky(covariance.noisy())
        self._weights = cho_solve((self._factor, True), standardised)
        self._prior = covariance.draw(self.num_samples, rng)
        drawn = self._prior(covariance.features) + noise * rng.standard_normal(
            (len(targets), self.num_samples)
        )
        self._corrections = cho_solve((self._factor, True), standardised[:, None] - drawn)  # n x e
        self._covariance = covariance

    def posterior(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at `m` rows, without noise, in the unit of the targets.

        Raises:
            RuntimeError: Nothing was learnt yet.
        """
        return self._posterior(*self._across(features))

    @property
    def noise(self) -> float:
        """The standard deviation of the noise of an observation, in the unit of the targets.

        Raises:
            RuntimeError: Nothing was learnt yet.
        """
        if self._covariance is None:
            raise RuntimeError("`noise` needs a fitted predictor: call `fit` before.")
        return float(self._scale * np.exp(self._covariance.theta[-1] / 2))

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Sample the posterior, `e x m`; each row's samples depend on that row only."""
        covariance, across = self._across(features)
        mean, spread = self._posterior(covariance, across)
        samples = self._prior(np.asarray(features)).T + self._corrections.T @ across  # e x m
        samples -= samples.mean(axis=0)
        size = samples.std(axis=0)
        samples *= np.divide(spread, size, out=np.zeros_like(size), where=size > 0)
        return np.asarray(mean + samples)

    def _across(self, features: np.ndarray) -> tuple[_Covariance, np.ndarray]:
        """The covariances with the observations, `n x m`."""
        if self._covariance is None:
            raise RuntimeError("`predict` needs a fitted predictor: call `fit` before.")
        features = np.asarray(features, dtype=np.float64)
        return self._covariance, self._covariance.between(self._covariance.features, features)

    def _posterior(
        self, covariance: _Covariance, across: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        solved = solve_triangular(self._factor, across, lower=True)  # n x m
        variance = (covariance.prior_variance - (solved**2).sum(axis=0)).clip(min=0)
        return self._mean + self._scale * (self._weights @ across), self._scale * np.sqrt(variance)


class _PriorSamples:
    """Functions drawn from a Gaussian process by random features."""

    def __init__(
        self, parts: list[tuple[slice, np.ndarray, np.ndarray]], weights: np.ndarray
    ) -> None:
        self._parts = parts
        self._weights = weights

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The values of the functions at `m` rows, `m x e`."""
        waves = [
            np.cos(features[:, part].astype(np.float32) @ frequencies + phases)
            for part, frequencies, phases in self._parts
        ]
        return np.asarray(np.hstack(waves) @ self._weights)


class _Covariance:
    """A sum of one kernel for each part of the features, and noise.

    With `P` parts, `theta` holds the logarithms of `P` squared amplitudes, `P` lengths
    and the noise variance.
    """

    def __init__(self, kernel: Kernel, parts: list[slice], features: np.ndarray) -> None:
        self._kernel = kernel
        self.features = features
        self._parts, self._units, self._observed = [], [], []
        self._parts = parts
        found = [distances(features[:, part], features[:, part]) for part in parts]
        pairs = max(len(features) * (len(features) - 1), 1)
        self._units = [float(part.sum()) / pairs or 1.0 for part in found]
        self._observed = [part / unit for part, unit in zip(found, self._units, strict=True)]
        number = len(parts)
        medians = [-np.log(number)] * number + [0.0] * number
        self._medians = np.array([*medians, np.log(_NOISE)])
        self._spreads = np.repeat(_SPREADS, [number, number, 1])
        self.theta = self._medians

    def fix(self, hyperparameters: Hyperparameters) -> None:
        """Take given hyperparameters."""
        amplitude, length, noise = np.log(hyperparameters)
        lengths = length - np.log(self._units)
        self.theta = np.array([2 * amplitude] * len(lengths) + [*lengths] + [2 * noise])

    def learn(self, rows: np.ndarray, targets: np.ndarray) -> None:
        """Maximise the posterior density of the hyperparameters, given some of the rows."""
        observed = [found[np.ix_(rows, rows)] for found in self._observed]
        bounds = list(zip(self._medians - _RANGE, self._medians + _RANGE, strict=True))
        found = minimize(
            self.loss,
            self._medians,
            (observed, targets[rows]),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 30},
        )
        self.theta = np.asarray(found.x)

    def loss(
        self, theta: np.ndarray, observed: list[np.ndarray], targets: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Minus the log posterior density of `theta` up to a constant, and its gradient."""
        parts = len(observed)
        noise = np.exp(theta[-1]) * np.eye(len(targets))
        kernels = [
            [
                np.exp(amplitude) * values
                for values in self._kernel.correlation(found * np.exp(-length))
            ]
            for found, amplitude, length in zip(
                observed, theta[:parts], theta[parts : 2 * parts], strict=True
            )
        ]
        factor = _cholesky(sum((value for value, _ in kernels), noise))
        inverse = cho_solve((factor, True), np.eye(len(targets)))
        weights = inverse @ targets
        outer = (inverse - np.outer(weights, weights)) / 2
        slopes = [value for value, _ in kernels] + [slope for _, slope in kernels] + [noise]
        prior = (theta - self._medians) / self._spreads
        density = targets @ weights / 2 + np.log(np.diagonal(factor)).sum() + prior @ prior / 2
        gradient = np.array([np.sum(outer * slope) for slope in slopes])
        return float(density), gradient + prior / self._spreads

    def noisy(self) -> np.ndarray:
        """The covariance of the observations, `n x n`."""
        noise = np.exp(self.theta[-1]) * np.eye(len(self.features))
        return np.asarray(self._sum(self._observed) + noise)

    @property
    def prior_variance(self) -> float:
        """The variance of the function at any place."""
        return float(np.exp(self.theta[: len(self._parts)]).sum())

    def draw(self, number: int, rng: np.random.Generator) -> _PriorSamples:
        """Draw functions without noise."""
        amplitudes, lengths = np.exp(self.theta[:-1]).reshape(2, -1)
        parts = []
        for part, unit, length in zip(self._parts, self._units, lengths, strict=True):
            width = self.features[:, part].shape[1]
            frequencies = self._kernel.frequencies(rng, width, _FEATURES)
            frequencies /= np.float32(np.sqrt(unit * length))
            phases = rng.uniform(0, 2 * np.pi, _FEATURES).astype(np.float32)
            parts.append((part, frequencies, phases))
        sizes = np.repeat(np.sqrt(2 * amplitudes / _FEATURES), _FEATURES)
        weights = sizes[:, None] * rng.standard_normal((len(sizes), number))
        return _PriorSamples(parts, weights)

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The covariance without noise between `n` and `m` rows, `n x m`."""
        scaled = [
            distances(first[:, part], second[:, part]) / unit
            for part, unit in zip(self._parts, self._units, strict=True)
        ]
        return self._sum(scaled)

    def _sum(self, scaled: list[np.ndarray]) -> np.ndarray:
        amplitudes, lengths = np.exp(self.theta[:-1]).reshape(2, -1)
        kernels = (
            amplitude * self._kernel.correlation(found / length)[0]
            for found, amplitude, length in zip(scaled, amplitudes, lengths, strict=True)
        )
        return np.asarray(sum(kernels, np.zeros(scaled[0].shape)))


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower factor; the diagonal is raised as little as it takes."""
    jitter = 0.0
    while True:
        try:
            return np.asarray(cholesky(matrix + jitter * np.eye(len(matrix)), lower=True))
        except np.linalg.LinAlgError:
            jitter = max(10 * jitter, 1e-10 * (float(np.diagonal(matrix).max()) or 1.0))
