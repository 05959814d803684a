"""A Bayesian neural network, sampled by stochastic gradient Hamiltonian Monte Carlo.

1. Targets are standardised. The model is a network with tanh units and normal noise; weights are
   normal with the variance `10 / inputs`, biases with variance 10, and the noise variance is
   log-normal.
2. Several chains of :mod:`~optuna_nas.surrogates.predictors.sghmc` run at once on a
   :mod:`~optuna_nas.surrogates.predictors.stacked_network`. After the burn-in each keeps its
   parameters every `thinning` steps.
3. The members of a prediction are the networks kept, of all chains.

Reference: J. T. Springenberg, A. Klein, S. Falkner, F. Hutter, *Bayesian Optimization with Robust
Bayesian Neural Networks*, NeurIPS 2016 (BOHAMIANN). :meth:`BayesianNetwork.published` is the
setting of the BANANAS paper.

*Departures* of the default: four short chains instead of a long one, smaller layers and a larger
step, at a tenth of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.surrogates.adaptive import AdaptiveEncoding
from optuna_nas.surrogates.encodings import Encoding, OneHotEncoding, PathEncoding
from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.sghmc import AdaptiveSGHMC
from optuna_nas.surrogates.predictors.stacked_network import TANH, StackedNetwork

_PRIOR_VARIANCE = 10.0
_LOG_NOISE, _LOG_NOISE_SPREAD = float(np.log(0.05)), 1.0
"""Mean and standard deviation of the prior of the logarithm of the noise variance."""


class BayesianNetwork(Predictor):
    """A Bayesian neural network.

    Args:
        num_chains: How many Markov chains run at once.
        hidden: The width of each hidden layer; without any the model is linear.
        steps: Steps of each chain, the burn-in included.
        burn_in: Steps before the first network is kept.
        thinning: A network is kept every so many steps after the burn-in.
        step_size: The step size of the sampler.
        friction: The share of its velocity that a chain loses in a step.
        batch_size: Architectures of a minibatch.
        noise: The standard deviation of the noise, in units of the targets' own; None learns it.
        encoding: What it learns from, unless the sampler is given an encoding.

    Raises:
        ValueError: A number is out of range, or no network would be kept.
    """

    def __init__(
        self,
        *,
        num_chains: int = 4,
        hidden: Sequence[int] = (50, 50),
        steps: int = 1000,
        burn_in: int = 500,
        thinning: int = 50,
        step_size: float = 0.03,
        friction: float = 0.05,
        batch_size: int = 32,
        noise: float | None = None,
        encoding: Encoding | None = None,
    ) -> None:
        self.num_chains = checked_integer("num_chains", num_chains)
        self.hidden = tuple(checked_integer("hidden", width) for width in hidden)
        self.steps = checked_integer("steps", steps)
        self.burn_in = checked_integer("burn_in", burn_in, 0)
        self.thinning = checked_integer("thinning", thinning)
        if burn_in + thinning > steps:
            raise ValueError(
                f"`steps` is {steps}, `burn_in` {burn_in} and `thinning` {thinning}, so that no "
                f"network is kept; allowed are {burn_in + thinning} steps or more."
            )
        self.step_size = checked_positive("step_size", step_size)
        self.friction = checked_share("friction", friction)
        self.batch_size = checked_integer("batch_size", batch_size)
        self.noise = None if noise is None else checked_positive("noise", noise)
        self.encoding = encoding or AdaptiveEncoding()
        self._kept: list[np.ndarray] = []

    @classmethod
    def published(cls) -> BayesianNetwork:
        """The setting of the BANANAS paper: one chain of 10,000 steps, three layers of fifty."""
        return cls(
            num_chains=1,
            hidden=(50, 50, 50),
            steps=10_000,
            burn_in=1000,
            thinning=50,
            step_size=0.01,
            encoding=PathEncoding(otherwise=OneHotEncoding()),
        )

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Sample networks (see :class:`Predictor`)."""
        features = np.asarray(features, dtype=np.float32)
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        standardised = ((targets - self._mean) / self._scale).astype(np.float32)
        sizes = (features.shape[1], *self.hidden, 1)
        self._network = StackedNetwork(self.num_chains, sizes, rng, TANH)
        precision = _prior_precision(self._network)
        # The noise of each chain has a sampler of its own.
        log_noise = np.full(self.num_chains, _LOG_NOISE, dtype=np.float32)
        if self.noise is not None:
            log_noise[:] = 2 * np.log(self.noise)
        weights_sampler = AdaptiveSGHMC(self._network.parameters, self.step_size, self.friction)
        noise_sampler = AdaptiveSGHMC(log_noise, self.step_size, self.friction)

        number, size = len(features), min(self.batch_size, len(features))
        repeats, minibatch = number / size, size < number
        everything = np.tile(np.arange(number), (self.num_chains, 1))
        self._kept = []
        for step in range(1, self.steps + 1):
            rows = everything
            if minibatch:
                rows = rng.integers(number, size=(self.num_chains, size))
            residuals = self._network.forward(features[rows]) - standardised[rows]  # e x b
            precisions = np.exp(-log_noise)[:, None]
            gradient = self._network.backward(repeats * residuals * precisions)
            gradient += precision * self._network.parameters
            adapt = step <= self.burn_in
            weights_sampler.step(gradient, rng, adapt=adapt, minibatch=minibatch)
            if self.noise is None:
                squares = (residuals**2).sum(axis=1) * precisions[:, 0]
                slope = repeats * (size - squares) / 2
                slope += (log_noise - _LOG_NOISE) / _LOG_NOISE_SPREAD**2
                noise_sampler.step(slope, rng, adapt=adapt, minibatch=minibatch)
            if not adapt and (step - self.burn_in) % self.thinning == 0:
                self._kept.append(self._network.parameters.copy())

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict with every network that was kept, `e x m` (see :class:`Predictor`)."""
        if not self._kept:
            raise RuntimeError("`predict` needs a fitted predictor: call `fit` before.")
        inputs = np.asarray(features, dtype=np.float32)
        inputs = np.broadcast_to(inputs, (self.num_chains, *inputs.shape))
        outputs = []
        for parameters in self._kept:
            self._network.parameters[:] = parameters
            outputs.append(self._network.forward(inputs))
        return np.asarray(np.concatenate(outputs).astype(np.float64) * self._scale + self._mean)


def _prior_precision(network: StackedNetwork) -> np.ndarray:
    """The inverse prior variance of every parameter, as a flat vector."""
    kept = np.array(network.parameters)
    network.parameters[:] = 1 / _PRIOR_VARIANCE
    for weight in network.weights:
        weight *= weight.shape[1]
    precision = np.array(network.parameters)
    network.parameters[:] = kept
    return precision
