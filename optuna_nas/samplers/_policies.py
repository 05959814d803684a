"""Policies: distributions over the choices of a space, with gradients.

- *factorized*: for each parameter a softmax of its own.
- *lstm*: an autoregressive network. What was chosen for a parameter is the input of the step that
  chooses the next one (Zoph & Le 2016: two layers of 35 units; NASNet: one of 100).

A policy chooses for `B` architectures at once, one action for each of `T` parameters; the
parameter `t` has `n_t` actions. Absent parameters have the action -1, and no gradient.

References: B. Zoph, Q. V. Le, ICLR 2017, arXiv 1611.01578; B. Zoph, V. Vasudevan, J. Shlens, Q. V.
Le, *Learning Transferable Architectures for Scalable Image Recognition*, CVPR 2018, arXiv
1707.07012. *Departure*: each parameter has an embedding and an output of its own; anchors of skip
connections are choices like all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from math import prod

import numpy as np

from optuna_nas._checks import checked_integer

_RANGE = 0.08
"""Weights start between this and its negative, in Zoph & Le and NASNet."""

PolicyFactory = Callable[[Sequence[int], np.random.Generator], "Policy"]
"""Makes a policy from the numbers of actions `n_t`."""


class Policy(ABC):
    """A distribution over the actions of all parameters.

    Attributes:
        sizes: The numbers of actions.
        weights: All that is learnt, one vector.
    """

    sizes: Sequence[int]
    weights: np.ndarray

    @abstractmethod
    def sample(self, uniforms: np.ndarray, absent: np.ndarray) -> np.ndarray:
        """Draw actions, `B x T`.

        Args:
            uniforms: Numbers from 0 to 1, `B x T`: the places in the cumulative probabilities.
            absent: Whether a parameter is absent, `B x T`.
        """

    @abstractmethod
    def probabilities(self, actions: np.ndarray) -> list[np.ndarray]:
        """The probabilities of all actions given those before them: `T` times `B x n_t`.

        Args:
            actions: What was chosen, `B x T`.
        """

    @abstractmethod
    def gradient(self, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """The gradient by the weights of something at the actions of the last `probabilities`.

        Args:
            slopes: Its gradient by the logits, `T` times `B x n_t`.
        """


class FactorizedPolicy(Policy):
    """A softmax for each parameter, uniform at the start.

    Args:
        sizes: The numbers of actions.
        rng: Not used.
    """

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self.sizes = list(sizes)
        self.weights = np.zeros(sum(sizes))
        ends = list(accumulate(sizes, initial=0))
        self._logits = [self.weights[first:last] for first, last in pairwise(ends)]

    def sample(self, uniforms: np.ndarray, absent: np.ndarray) -> np.ndarray:
        """Draw each parameter by itself."""
        drawn = [
            _drawn(softmax(logits[None]), uniforms[:, t]) for t, logits in enumerate(self._logits)
        ]
        return np.where(absent, -1, np.stack(drawn, axis=1))

    def probabilities(self, actions: np.ndarray) -> list[np.ndarray]:
        """The same for all architectures."""
        count = len(actions)
        return [np.repeat(softmax(logits[None]), count, axis=0) for logits in self._logits]

    def gradient(self, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """The sum over the architectures: the logits are the weights."""
        return np.concatenate([slope.sum(axis=0) for slope in slopes])


class LSTMPolicy(Policy):
    """An LSTM that chooses one parameter after the other.

    Args:
        sizes: The numbers of actions.
        rng: Draws the first weights.
        hidden: The units of a layer, `H`.
        layers: The layers.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        rng: np.random.Generator,
        *,
        hidden: int = 64,
        layers: int = 1,
    ) -> None:
        self.sizes = list(sizes)
        self._hidden = checked_integer("hidden", hidden)
        self._layers = checked_integer("layers", layers)
        shapes: dict[str, tuple[int, ...]] = {"start": (1, hidden)}
        for layer in range(layers):
            shapes |= {f"cell{layer}": (2 * hidden, 4 * hidden), f"bias{layer}": (4 * hidden,)}
        for t, size in enumerate(sizes):
            # The last row of an embedding stands for an absent parameter, whose action is -1.
            shapes |= {f"embedding{t}": (size + 1, hidden)}
            shapes |= {f"output{t}": (hidden, size), f"output_bias{t}": (size,)}
        self._shapes = shapes
        count = sum(map(prod, shapes.values()))
        self.weights = rng.uniform(-_RANGE, _RANGE, count)
        self._w = self._named(self.weights)
        self._steps: list[_Step] = []

    def sample(self, uniforms: np.ndarray, absent: np.ndarray) -> np.ndarray:
        """Draw one parameter after the other, each given those before it."""
        actions = np.zeros(uniforms.shape, dtype=int)

        def choose(t: int, probabilities: np.ndarray) -> None:
            drawn = _drawn(probabilities, uniforms[:, t])
            actions[:, t] = np.where(absent[:, t], -1, drawn)

        self._run(actions, choose)
        return actions

    def probabilities(self, actions: np.ndarray) -> list[np.ndarray]:
        """One pass over the parameters."""
        found: list[np.ndarray] = []
        self._run(actions, lambda _, probabilities: found.append(probabilities))
        self._actions = actions
        return found

    def gradient(self, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """Backpropagation through the pass."""
        gradient = np.zeros_like(self.weights)
        g, w, hidden = self._named(gradient), self._w, self._hidden
        count = len(self._actions)
        later = [np.zeros((count, 2 * hidden)) for _ in range(self._layers)]  # of state and output
        for t in reversed(range(len(self.sizes))):
            step = self._steps[t]
            g[f"output{t}"] += step.outputs[-1].T @ slopes[t]
            g[f"output_bias{t}"] += slopes[t].sum(axis=0)
            upper = slopes[t] @ w[f"output{t}"].T
            for layer in reversed(range(self._layers)):
                inputs, gates, before, tanh = step.layers[layer]
                i, f, o, c = np.split(gates, 4, axis=1)
                output = upper + later[layer][:, hidden:]
                state = later[layer][:, :hidden] + output * o * (1 - tanh**2)
                raw = np.concatenate(
                    [
                        state * c * i * (1 - i),
                        state * before * f * (1 - f),
                        output * tanh * o * (1 - o),
                        state * i * (1 - c**2),
                    ],
                    axis=1,
                )  # B x 4H
                g[f"cell{layer}"] += inputs.T @ raw
                g[f"bias{layer}"] += raw.sum(axis=0)
                back = raw @ w[f"cell{layer}"].T
                upper = back[:, :hidden]
                later[layer] = np.concatenate([state * f, back[:, hidden:]], axis=1)
            if t:
                np.add.at(g[f"embedding{t - 1}"], self._actions[:, t - 1], upper)
            else:
                g["start"] += upper.sum(axis=0)
        return gradient

    def _run(self, actions: np.ndarray, see: Callable[[int, np.ndarray], None]) -> None:
        """One pass: `see` may choose actions of a parameter before the next step reads them."""
        count, hidden, w = len(actions), self._hidden, self._w
        states = [np.zeros((count, hidden)) for _ in range(self._layers)]
        outputs = [np.zeros((count, hidden)) for _ in range(self._layers)]
        self._steps = []
        for t in range(len(self.sizes)):
            if t:
                x = w[f"embedding{t - 1}"][actions[:, t - 1]]  # B x H
            else:
                x = np.repeat(w["start"], count, axis=0)
            kept = []
            for layer in range(self._layers):
                inputs = np.concatenate([x, outputs[layer]], axis=1)  # B x 2H
                gates = inputs @ w[f"cell{layer}"] + w[f"bias{layer}"]  # B x 4H
                gates[:, : 3 * hidden] = _sigmoid(gates[:, : 3 * hidden])
                gates[:, 3 * hidden :] = np.tanh(gates[:, 3 * hidden :])
                i, f, o, c = np.split(gates, 4, axis=1)
                before = states[layer]
                states[layer] = f * before + i * c
                tanh = np.tanh(states[layer])
                x = outputs[layer] = o * tanh
                kept.append((inputs, gates, before, tanh))
            self._steps.append(_Step(kept, list(outputs)))
            see(t, softmax(x @ w[f"output{t}"] + w[f"output_bias{t}"]))

    def _named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of a vector of weights, as views."""
        ends = accumulate(map(prod, self._shapes.values()), initial=0)
        return {
            name: vector[first:last].reshape(shape)
            for (name, shape), (first, last) in zip(
                self._shapes.items(), pairwise(ends), strict=True
            )
        }


class _Step:
    """What a step keeps for the way back: of each layer inputs, gates, state before, its tanh."""

    def __init__(
        self,
        layers: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
        outputs: list[np.ndarray],
    ) -> None:
        self.layers, self.outputs = layers, outputs


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _drawn(probabilities: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """For each row the action at a place in the cumulative probabilities."""
    return np.asarray((uniforms[:, None] > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))
