"""An ensemble of feed-forward networks, trained together in batched numpy.

1. Targets are standardised; columns that are constant in the data are left out.
2. Every member starts from its own Glorot-uniform weights and sees its own order of minibatches.
   Some members do not see the first part of the encoding, so that they err in other ways.
3. The members are stacked: layer `l` of all of them is one array `e x in x out`, and one batched
   matrix product moves the whole ensemble. All parameters are views of one vector, so that a step
   of Adam with decoupled weight decay is a handful of operations on it.

Reference: C. White, W. Neiswanger, Y. Savani, *BANANAS*, AAAI 2021, arXiv 1910.11858: five
networks of ten layers of twenty units, Adam with learning rate 0.01 and betas (0.9, 0.99), 150
epochs in minibatches of 32. :meth:`MLPEnsemble.published` builds that one.

*Departures* of the default (docs/bananas.md): three layers, weight decay and 100 to 300 steps in
all, which ranks unseen cells better at a fraction of the cost; two members that do not see the
first part of the encoding, and predictions stretched about their mean, because networks that learn
from the same few rows agree more than they are right. Targets are standardised always, which makes
learning rate and loss independent of the unit of the objective.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas.surrogates.losses import MAE, Loss
from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.stacked_network import StackedNetwork

if TYPE_CHECKING:
    from optuna_nas.spaces import SearchSpace
    from optuna_nas.surrogates.encodings import Encoding

_FEWEST_STEPS, _MOST_STEPS = 100, 300
_ENOUGH = 100
"""With so many rows the members' disagreement is taken as it is."""

_FLUSH_EVERY, _NEGLIGIBLE = 100, 1e-30
"""What is left of the moments of units that are never active fades until it is denormal, and
arithmetic on denormal numbers takes ten times as long: zeros are put there before."""


class MLPEnsemble(Predictor):
    """A deep ensemble of multi-layer perceptrons with ReLU units.

    Args:
        num_members: How many networks, `e`.
        hidden: The width of each hidden layer; without any the model is linear.
        loss: The loss on standardised targets; by default the mean absolute error.
        learning_rate: The step size of Adam.
        weight_decay: Decoupled weight decay: a step shrinks the weights by this times the
            learning rate.
        epochs: Passes over the data. None takes `n / 2` steps, but at least 100 and at most 300.
        batch_size: Architectures of a minibatch.
        partial_members: So many of the members do not see the first part of an encoding of
            several parts (the counts of `"structure"`, the one-hot columns of `"folded"`). None is
            two in five.
        spread: The predictions of the members are stretched about their mean by a factor, this
            one for few rows, which falls to 1 for a hundred rows.

    Raises:
        ValueError: A number is not positive (the weight decay: is negative), or there are more
            partial members than members.
        TypeError: `loss` is not a loss.
    """

    def __init__(
        self,
        *,
        num_members: int = 5,
        hidden: Sequence[int] = (20, 20, 20),
        loss: Loss | None = None,
        learning_rate: float = 0.01,
        weight_decay: float = 0.3,
        epochs: int | None = None,
        batch_size: int = 32,
        partial_members: int | None = None,
        spread: float = 2.0,
    ) -> None:
        for name, value in {"learning_rate": learning_rate, "spread": spread}.items():
            if not value > 0:
                raise ValueError(f"`{name}` is {value!r}; allowed are positive numbers.")
        if not weight_decay >= 0:
            raise ValueError(f"`weight_decay` is {weight_decay!r}; allowed are 0 and above.")
        if loss is not None and not isinstance(loss, Loss):
            raise TypeError(f"`loss` is {loss!r}; allowed are None and a loss such as MAE().")
        self.num_members = checked_integer("num_members", num_members)
        self.hidden = tuple(checked_integer("hidden", width) for width in hidden)
        self.loss = loss or MAE()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = None if epochs is None else checked_integer("epochs", epochs)
        self.batch_size = checked_integer("batch_size", batch_size)
        if partial_members is None:
            partial_members = self.num_members * 2 // 5
        self.partial_members = checked_integer(
            "partial_members", partial_members, 0, self.num_members
        )
        self.spread = spread
        self._hidden = slice(0, 0)
        self._network: StackedNetwork | None = None

    @classmethod
    def published(cls, *, loss: Loss | None = None) -> MLPEnsemble:
        """The ensemble of the BANANAS paper: ten layers, 150 epochs, no weight decay."""
        return cls(
            hidden=(20,) * 10,
            loss=loss,
            weight_decay=0.0,
            epochs=150,
            partial_members=0,
            spread=1.0,
        )

    def prepare(self, space: SearchSpace, encoding: Encoding) -> None:
        """Find the columns that the partial members do not see (see :class:`Predictor`)."""
        first, *others = encoding.parts(space).values()
        self._hidden = first if others else slice(0, 0)

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Train all members from new weights (see :class:`Predictor`)."""
        features = np.asarray(features, dtype=np.float32)
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        self._varying = features.min(axis=0) < features.max(axis=0)
        visible = np.ones((self.num_members, 1, features.shape[1]), dtype=np.float32)
        visible[: self.partial_members, :, self._hidden] = 0
        self._visible = visible[..., self._varying]
        features = features[:, self._varying]
        standardised = ((targets - self._mean) / self._scale).astype(np.float32)
        weights = self.loss.weights(targets).astype(np.float32)
        network = StackedNetwork(self.num_members, (features.shape[1], *self.hidden, 1), rng)
        optimizer = _Adam(network.parameters, self.learning_rate, self.weight_decay)
        for chosen in self._minibatches(len(features), rng):  # e x b
            outputs = network.forward(features[chosen] * self._visible)  # e x b
            slopes = self.loss.slope(outputs - standardised[chosen]) * weights[chosen]
            optimizer.step(network.backward(slopes / chosen.shape[1]))
        self._network = network
        self._stretch = 1 + (self.spread - 1) * max(1 - len(features) / _ENOUGH, 0.0)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict with every member, `e x m` (see :class:`Predictor`)."""
        if self._network is None:
            raise RuntimeError("`predict` needs a fitted predictor: call `fit` before.")
        inputs = np.asarray(features, dtype=np.float32)[:, self._varying]
        outputs = self._network.forward(inputs * self._visible)
        predictions = outputs.astype(np.float64) * self._scale + self._mean
        center = predictions.mean(axis=0)
        return np.asarray(center + self._stretch * (predictions - center))

    def _minibatches(self, number: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Rows for each step, `e x b`: every member passes over the data in its own order."""
        size = min(self.batch_size, number)
        per_epoch = -(-number // size)
        if self.epochs is None:
            steps = min(max(number // 2, _FEWEST_STEPS), _MOST_STEPS)
        else:
            steps = self.epochs * per_epoch
        rows = np.tile(np.arange(number), (self.num_members, 1))
        for step in range(steps):
            place = step % per_epoch
            if place == 0 and per_epoch > 1:
                rng.permuted(rows, axis=1, out=rows)
            yield rows[:, place * size : (place + 1) * size]


class _Adam:
    """Adam with decoupled weight decay on one flat vector, in place."""

    _BETAS = (0.9, 0.99)

    def __init__(self, parameters: np.ndarray, learning_rate: float, weight_decay: float) -> None:
        self._parameters = parameters
        self._learning_rate = learning_rate
        self._shrink = np.float32(1 - learning_rate * weight_decay)
        self._first = np.zeros_like(parameters)
        self._second = np.zeros_like(parameters)
        self._scratch = np.zeros_like(parameters)
        self._steps = 0

    def step(self, gradient: np.ndarray) -> None:
        """Move the parameters against the gradient."""
        self._steps += 1
        beta1, beta2 = self._BETAS
        self._first *= beta1
        self._first += np.multiply(gradient, 1 - beta1, out=self._scratch)
        self._second *= beta2
        np.multiply(gradient, gradient, out=self._scratch)
        self._second += np.multiply(self._scratch, 1 - beta2, out=self._scratch)
        rate = self._learning_rate * np.sqrt(1 - beta2**self._steps) / (1 - beta1**self._steps)
        np.sqrt(self._second, out=self._scratch)
        self._scratch += 1e-8
        np.divide(self._first, self._scratch, out=self._scratch)
        self._scratch *= np.float32(rate)
        self._parameters *= self._shrink
        self._parameters -= self._scratch
        if self._steps % _FLUSH_EVERY == 0:
            for vector in (self._parameters, self._first, self._second):
                vector[np.abs(vector) < _NEGLIGIBLE] = 0
