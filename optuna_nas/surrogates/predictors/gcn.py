"""An ensemble of graph convolutional networks, trained together.

1. An architecture is a graph of operations (:mod:`optuna_nas.surrogates.graph_encoding`) with the
   adjacency `A`, ones on the diagonal included.
2. A layer passes messages in both directions of the edges: with rows scaled to a sum of one,
   `H' = (relu(A H V) + relu(A^T H W)) / 2`.
3. The mean over the vertices goes through a dense layer to one number. Targets are standardised,
   the loss is the squared error.
4. The members are stacked: one batched product moves the whole ensemble. Each starts from its own
   weights and sees its own minibatches.

Numbering the vertices in another order changes nothing.

Reference: W. Wen et al., *Neural Predictor for Neural Architecture Search*, ECCV 2020, arXiv
1912.00848. :meth:`GCNEnsemble.published` has the sizes of the BANANAS paper.

*Departures*: no dropout. The default has two layers, takes fewer and larger steps, its
vertices are summed up by their mean and their sum, and the dense layer has ReLU units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from optuna_nas._checks import checked_integer, checked_positive
from optuna_nas.surrogates.graph_encoding import GraphEncoding, GraphLayout
from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.torch_ensembles import (
    minimise,
    single_torch_thread,
    stacked_biases,
    stacked_weights,
)

if TYPE_CHECKING:
    from optuna_nas.spaces import SearchSpace
    from optuna_nas.surrogates.encodings import Encoding


class GCNEnsemble(Predictor):
    """A deep ensemble of graph convolutional networks; needs a :class:`GraphEncoding`.

    Args:
        num_members: How many networks, `e`.
        layers: Graph convolutions, one after the other.
        width: The features of a vertex after each.
        dense: The units of the dense layer.
        learning_rate: The step size of Adam at the start; it falls as a cosine.
        weight_decay: Decoupled weight decay: a step shrinks the weights by this times the
            learning rate.
        steps: The number of steps of Adam; None takes `epochs` passes over the data.
        epochs: Passes over the data, if `steps` is None.
        batch_size: Architectures of a minibatch.

    Raises:
        ValueError: A number is not positive (the weight decay: is negative).
    """

    encoding: Encoding = GraphEncoding()

    def __init__(
        self,
        *,
        num_members: int = 5,
        layers: int = 2,
        width: int = 32,
        dense: int = 32,
        learning_rate: float = 0.01,
        weight_decay: float = 1.0,
        steps: int | None = 150,
        epochs: int = 300,
        batch_size: int = 32,
    ) -> None:
        if not weight_decay >= 0:
            raise ValueError(f"`weight_decay` is {weight_decay!r}; allowed are 0 and above.")
        self.num_members = checked_integer("num_members", num_members)
        self.layers = checked_integer("layers", layers)
        self.width = checked_integer("width", width)
        self.dense = checked_integer("dense", dense)
        self.learning_rate = checked_positive("learning_rate", learning_rate)
        self.weight_decay = weight_decay
        self.steps = None if steps is None else checked_integer("steps", steps)
        self.epochs = checked_integer("epochs", epochs)
        self.batch_size = checked_integer("batch_size", batch_size)
        self._layout: GraphLayout | None = None
        self._network: _StackedGCN | None = None

    @classmethod
    def published(cls) -> GCNEnsemble:
        """The sizes of the BANANAS paper: four layers of 144, minibatches of 7, 300 epochs."""
        return cls(
            layers=4,
            width=144,
            dense=128,
            learning_rate=1e-4,
            weight_decay=3e-4,
            steps=None,
            batch_size=7,
        )

    def prepare(self, space: SearchSpace, encoding: Encoding) -> None:
        """Take the layout of the graphs (see :class:`Predictor`)."""
        if not isinstance(encoding, GraphEncoding):
            raise ValueError(
                f"`encoding` is {type(encoding).__name__}; a graph network needs GraphEncoding, "
                "the name of which is 'graph'."
            )
        self._layout = encoding.layout(space)

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Train all members from new weights (see :class:`Predictor`).

        Raises:
            RuntimeError: :meth:`prepare` was not called.
        """
        if self._layout is None:
            raise RuntimeError("`fit` needs to know the graphs: call `prepare` before.")
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        standardised = torch.tensor((targets - self._mean) / self._scale, dtype=torch.float32)
        graphs = _Graphs(self._layout, features)
        network = _StackedGCN(self, self._layout.features, rng)
        number = len(features)
        size = min(self.batch_size, number)
        steps = self.steps or self.epochs * -(-number // size)

        def loss() -> Tensor:
            rows = np.argsort(rng.random((self.num_members, number)), axis=1)[:, :size]
            chosen = torch.from_numpy(rows)  # e x b
            residuals = network(graphs.rows(chosen)) - standardised[chosen]
            return (residuals**2).mean(dim=1).sum()

        with single_torch_thread():
            minimise(
                loss,
                network.parameters,
                steps=steps,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
            )
        self._network = network

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict with every member, `e x m` (see :class:`Predictor`)."""
        if self._network is None or self._layout is None:
            raise RuntimeError("`predict` needs a fitted predictor: call `fit` before.")
        graphs = _Graphs(self._layout, features)
        with single_torch_thread(), torch.no_grad():
            rows = torch.arange(len(features)).expand(self.num_members, -1)
            outputs = self._network(graphs.rows(rows))
        return outputs.numpy().astype(np.float64) * self._scale + self._mean


class _Graphs:
    """Encoded architectures as tensors."""

    def __init__(self, layout: GraphLayout, rows: np.ndarray) -> None:
        features, adjacency = layout.unflatten(np.asarray(rows, dtype=np.float32))
        edges = torch.from_numpy(np.ascontiguousarray(adjacency))  # n x N x N
        self._features = torch.from_numpy(np.ascontiguousarray(features))  # n x N x F
        self._present = edges.diagonal(dim1=1, dim2=2)  # n x N
        # An edge from i to j stands in row i: its transpose reads the predecessors.
        self._backward = _scaled(edges)
        self._forward = _scaled(edges.transpose(1, 2))

    def rows(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features, both adjacencies and presence of the chosen graphs, each `e x b x ...`."""
        return (
            self._features[chosen],
            self._forward[chosen],
            self._backward[chosen],
            self._present[chosen],
        )


class _StackedGCN:
    """The networks of an ensemble."""

    def __init__(self, sizes: GCNEnsemble, features: int, rng: np.random.Generator) -> None:
        members = sizes.num_members
        widths = [features] + [sizes.width] * sizes.layers
        self._convolutions = [
            tuple(stacked_weights(members, inputs, sizes.width, rng) for _ in range(2))
            for inputs in widths[:-1]
        ]
        self._dense = stacked_weights(members, 2 * sizes.width, sizes.dense, rng)
        self._dense_bias = stacked_biases(members, sizes.dense)
        self._last = stacked_weights(members, sizes.dense, 1, rng)
        self._last_bias = stacked_biases(members, 1)
        self.parameters = [weight for pair in self._convolutions for weight in pair]
        self.parameters += [self._dense, self._dense_bias, self._last, self._last_bias]

    def __call__(self, graphs: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """The outputs, `e x b`."""
        values, forward, backward, present = graphs
        for incoming, outgoing in self._convolutions:
            received = (forward @ values @ incoming[:, None]).relu()  # e x b x N x width
            values = (received + (backward @ values @ outgoing[:, None]).relu()) / 2
        present = present[..., None]
        total = (values * present).sum(dim=2)  # e x b x width
        summary = torch.cat([total / present.sum(dim=2), total / present.shape[2]], dim=2)
        hidden = (summary @ self._dense + self._dense_bias).relu()
        return (hidden @ self._last + self._last_bias)[..., 0]


def _scaled(edges: Tensor) -> Tensor:
    """Rows with a sum of one, or of zero where a vertex is missing."""
    return edges / edges.sum(dim=2, keepdim=True).clamp(min=1)
