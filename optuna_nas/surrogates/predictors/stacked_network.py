"""Feed-forward networks of one shape, stacked so that all are computed at once.

Layer `l` of all of them is one array `e x in x out`, and one batched matrix product moves them
all. All parameters are views of one vector, so that a step of an optimiser is a few operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Activation(NamedTuple):
    """What hidden units do.

    Attributes:
        apply: Changes the inputs of the units into their outputs, in place.
        slope: The derivative, from the outputs.
    """

    apply: Callable[[np.ndarray], object]
    slope: Callable[[np.ndarray], np.ndarray]


def _relu(values: np.ndarray) -> None:
    np.maximum(values, 0, out=values)


def _relu_slope(outputs: np.ndarray) -> np.ndarray:
    return outputs > 0


def _tanh(values: np.ndarray) -> None:
    np.tanh(values, out=values)


def _tanh_slope(outputs: np.ndarray) -> np.ndarray:
    return np.asarray(1 - outputs**2)


# Functions of the module, not lambdas: a fitted sampler is pickled with its networks.
RELU = Activation(_relu, _relu_slope)
TANH = Activation(_tanh, _tanh_slope)


class StackedNetwork:
    """The networks of an ensemble, with Glorot-uniform weights and biases of zero.

    Args:
        members: How many networks, `e`.
        sizes: The units of each layer, from the inputs to the single output.
        rng: Draws the weights.
        activation: What hidden units do.

    Attributes:
        parameters: All parameters as one flat vector.
        weights: Of each layer its view of them, `e x in x out`.
    """

    def __init__(
        self,
        members: int,
        sizes: Sequence[int],
        rng: np.random.Generator,
        activation: Activation = RELU,
    ) -> None:
        self._activation = activation
        shapes = list(pairwise(sizes))
        total = sum(members * (inputs + 1) * outputs for inputs, outputs in shapes)
        self.parameters = np.zeros(total, dtype=np.float32)
        self._gradient = np.zeros_like(self.parameters)
        self.weights, self._biases = _views(self.parameters, members, shapes)
        self._weight_slopes, self._bias_slopes = _views(self._gradient, members, shapes)
        for weight, (inputs, outputs) in zip(self.weights, shapes, strict=True):
            limit = np.sqrt(6 / (inputs + outputs))
            weight[...] = rng.uniform(-limit, limit, size=weight.shape)

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs, `e x b`, for the inputs `e x b x d`."""
        self._activations = [inputs]
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self._biases, strict=True)):
            inputs = inputs @ weight  # e x b x out
            inputs += bias
            if layer < last:
                self._activation.apply(inputs)
            self._activations.append(inputs)
        return np.asarray(inputs[..., 0])

    def backward(self, slopes: np.ndarray) -> np.ndarray:
        """The gradient as a flat vector, for the slopes `e x b` of the loss in the outputs."""
        delta = slopes[..., None]
        for layer in range(len(self.weights) - 1, -1, -1):
            inputs = self._activations[layer]
            np.matmul(inputs.transpose(0, 2, 1), delta, out=self._weight_slopes[layer])
            delta.sum(axis=1, keepdims=True, out=self._bias_slopes[layer])
            if layer > 0:
                delta = delta @ self.weights[layer].transpose(0, 2, 1)
                delta *= self._activation.slope(inputs)
        return self._gradient


def _views(
    vector: np.ndarray, members: int, shapes: Sequence[tuple[int, int]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Views of one vector: weights `e x in x out` and biases `e x 1 x out` of each layer."""
    weights, biases, start = [], [], 0
    for inputs, outputs in shapes:
        stop = start + members * inputs * outputs
        weights.append(vector[start:stop].reshape(members, inputs, outputs))
        start, stop = stop, stop + members * outputs
        biases.append(vector[start:stop].reshape(members, 1, outputs))
        start = stop
    return weights, biases
