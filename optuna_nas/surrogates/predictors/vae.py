"""Regression on the latent space of a variational autoencoder of architectures.

1. Random architectures of the space are encoded; columns are scaled to the range from 0 to 1, and
   those that never vary are left out.
2. An autoencoder learns without any training result to describe them with a few normal numbers:
   the loss is the cross-entropy of the reconstruction plus `beta` times the divergence of the
   latent distribution from the standard normal one.
3. Another predictor, by default a Gaussian process, learns from the latent means.

The autoencoder is trained once for a space and an encoding, always with the same random numbers,
so that a sampler that is started again has the same one.

Reference: S. Yan, Y. Zheng, W. Ao, X. Zeng, M. Zhang, *Does Unsupervised Architecture
Representation Learning Help Neural Architecture Search?*, NeurIPS 2020, arXiv 2006.06936
(arch2vec).

*Departures*: encoder and decoder are perceptrons on any encoding, where arch2vec reads the graph
with graph convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from optuna_nas._checks import checked_integer, checked_positive
from optuna_nas.surrogates.encodings import Encoding, OneHotEncoding
from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.gaussian_process import GaussianProcess
from optuna_nas.surrogates.predictors.torch_ensembles import (
    dense_layer,
    minimise,
    single_torch_thread,
)

if TYPE_CHECKING:
    from optuna_nas.spaces import SearchSpace

_SEED = 2006_06936
_BATCH = 64


class VAEPredictor(Predictor):
    """A variational autoencoder and a regression on its latent space.

    Args:
        regressor: The predictor that learns from the latent means; None is a
            :class:`GaussianProcess`.
        latent: The number of latent dimensions.
        width: The units of the hidden layer of encoder and decoder.
        beta: The weight of the divergence.
        num_random: How many random architectures the autoencoder learns from.
        steps: The number of steps of Adam, in minibatches of 64.
        encoding: What it learns from, unless the sampler is given an encoding; by default
            simplified one-hot columns.

    Raises:
        ValueError: A number is not positive.
    """

    def __init__(
        self,
        *,
        regressor: Predictor | None = None,
        latent: int = 16,
        width: int = 64,
        beta: float = 0.5,
        num_random: int = 1000,
        steps: int = 1000,
        encoding: Encoding | None = None,
    ) -> None:
        self.regressor = regressor or GaussianProcess()
        self.latent = checked_integer("latent", latent)
        self.width = checked_integer("width", width)
        self.beta = checked_positive("beta", beta)
        self.num_random = checked_integer("num_random", num_random, 2)
        self.steps = checked_integer("steps", steps)
        self.encoding = encoding or OneHotEncoding(simplify=True)
        self._autoencoder: Autoencoder | None = None
        self._prepared: tuple[SearchSpace, Encoding] | None = None

    def prepare(self, space: SearchSpace, encoding: Encoding) -> None:
        """Take the space and forget the autoencoder of another one (see :class:`Predictor`)."""
        encoding.dimension(space)
        if self._prepared is None or self._prepared[0] != space or self._prepared[1] != encoding:
            self._prepared = space, encoding
            self._autoencoder = None

    @property
    def autoencoder(self) -> Autoencoder:
        """The autoencoder of the space; the first use trains it.

        Raises:
            RuntimeError: :meth:`prepare` was not called.
        """
        if self._autoencoder is None:
            if self._prepared is None:
                raise RuntimeError("The autoencoder needs a space: call `prepare` before.")
            space, encoding = self._prepared
            rng = np.random.default_rng(_SEED)
            sample = encoding.encode(space, [space.random(rng) for _ in range(self.num_random)])
            self._autoencoder = Autoencoder(self.latent, self.width, self.beta)
            self._autoencoder.train(sample, self.steps, rng)
        return self._autoencoder

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Learn from the latent means (see :class:`Predictor`)."""
        self.regressor.fit(self.autoencoder.encode(features), targets, rng)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict from the latent means, `e x m` (see :class:`Predictor`)."""
        return self.regressor.predict(self.autoencoder.encode(features))


class Autoencoder:
    """A variational autoencoder of rows.

    Args:
        latent: The number of latent dimensions.
        width: The units of the hidden layers.
        beta: The weight of the divergence.
    """

    def __init__(self, latent: int, width: int, beta: float) -> None:
        self._latent, self._width, self._beta = latent, width, beta

    def train(self, sample: np.ndarray, steps: int, rng: np.random.Generator) -> None:
        """Learn from encoded architectures, `n x d`."""
        self._lowest = sample.min(axis=0)
        self._varying = self._lowest < sample.max(axis=0)
        self._range = np.where(self._varying, sample.max(axis=0) - self._lowest, 1)
        rows = self._scaled(sample)  # n x v
        columns = rows.shape[1]
        sizes = [(columns, self._width), (self._width, 2 * self._latent)]
        sizes += [(self._latent, self._width), (self._width, columns)]
        self._layers = [dense_layer(inputs, outputs, rng) for inputs, outputs in sizes]

        def loss() -> Tensor:
            batch = rows[torch.from_numpy(rng.integers(len(rows), size=_BATCH))]
            mean, log_variance = self._encoded(batch)
            noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
            logits = self._decoded(mean + noise * (log_variance / 2).exp())
            reconstruction = binary_cross_entropy_with_logits(logits, batch, reduction="sum")
            divergence = (mean**2 + log_variance.exp() - log_variance - 1).sum() / 2
            return (reconstruction + self._beta * divergence) / len(batch)

        with single_torch_thread():
            parameters = [parameter for layer in self._layers for parameter in layer]
            minimise(loss, parameters, steps=steps, learning_rate=0.005, weight_decay=0.0)

    def encode(self, rows: np.ndarray) -> np.ndarray:
        """The latent means, `n x latent`."""
        with single_torch_thread(), torch.no_grad():
            return np.asarray(self._encoded(self._scaled(rows))[0].numpy())

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """The rows that latent means stand for, `n x d`; columns keep their range."""
        with single_torch_thread(), torch.no_grad():
            decoded = self._decoded(torch.from_numpy(latent)).sigmoid().numpy()
        rows = np.tile(self._lowest, (len(latent), 1))
        rows[:, self._varying] += decoded * self._range[self._varying]
        return rows

    def _scaled(self, rows: np.ndarray) -> Tensor:
        scaled = ((rows - self._lowest) / self._range)[:, self._varying]
        return torch.tensor(scaled.clip(0, 1), dtype=torch.float32)

    def _encoded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent distribution."""
        (weight, bias), (last, last_bias) = self._layers[:2]
        mean, log_variance = ((rows @ weight + bias).relu() @ last + last_bias).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def _decoded(self, latent: Tensor) -> Tensor:
        """The logits of the scaled columns."""
        (weight, bias), (last, last_bias) = self._layers[2:]
        return (latent @ weight + bias).relu() @ last + last_bias
