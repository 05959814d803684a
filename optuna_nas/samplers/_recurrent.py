"""A recurrent network that proposes where to look next, one and the same for every coordinate.

A point x in [-1, 1]^d and its value y are read, and the next point is written:

1. The value is standardised by the mean and the deviation of all values so far, so that scale and
   offset of a function do not count.
2. Each coordinate reads its x_i, the best x_i so far, their difference, the standardised value, by
   how much it is better than the best before, the number of points, and d; and the mean of the
   hidden states of all coordinates. Its state is its own, the weights are shared.
3. A cell of an LSTM moves the state. From it come a gate g and a number o: the next
   x_i = b_i + g (tanh o - b_i), with b the best point so far.

Permuting the coordinates permutes the proposals. The functions are the same for numpy and torch:
`xp` is either module. `B` functions are looked at in parallel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of numpy or a tensor of torch."""

HIDDEN = 32
FEATURES = 8
SHAPES: dict[str, tuple[int, ...]] = {
    "input": (FEATURES, 4 * HIDDEN),
    "pooled": (HIDDEN, 4 * HIDDEN),
    "hidden": (HIDDEN, 4 * HIDDEN),
    "bias": (4 * HIDDEN,),
    "output": (HIDDEN, 2),
    "output_bias": (2,),
}
"""The network's weights, by name."""

_LARGEST = 4.0  # standardised values beyond it say no more


@dataclass(frozen=True)
class Memory:
    """What is remembered of the points so far.

    Attributes:
        hidden: The state that is passed on, `B d HIDDEN`.
        cell: The state of the cell, likewise.
        count: The number of points.
        mean: The mean of the values, `B`.
        squares: The sum of squared deviations from it, `B`.
        best: The smallest value, `B`.
        best_x: Where it was found, `B d`.
    """

    hidden: Array
    cell: Array
    count: int
    mean: Array
    squares: Array
    best: Array
    best_x: Array


def nothing_yet(like: Array, xp: Any) -> Memory:
    """The memory before the first point, for points like these, `B d`."""
    state = xp.stack([xp.zeros_like(like)] * HIDDEN, -1)
    zero = xp.zeros_like(like[:, 0])
    return Memory(state, state, 0, zero, zero, zero + math.inf, xp.zeros_like(like))


def observe(
    weights: Mapping[str, Array],
    memory: Memory,
    x: Array,
    y: Array,
    xp: Any,
    constant: Callable[[Array], Array] = lambda array: array,
) -> Memory:
    """Read a point.

    Args:
        weights: The network's weights.
        memory: What is remembered.
        x: The point, `B d` in [-1, 1].
        y: Its value, `B`; lower is better.
        xp: numpy or torch.
        constant: What keeps gradients out of the statistics of the values.
    """
    plain, count = constant(y), memory.count + 1
    mean = memory.mean + (plain - memory.mean) / count
    squares = memory.squares + (plain - memory.mean) * (plain - mean)
    deviation = (squares / count) ** 0.5
    scale = xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    first = count == 1
    value = _bounded((y - mean) / scale, xp)
    better = plain < memory.best
    gain = xp.zeros_like(value) if first else _bounded((y - memory.best) / scale, xp)
    before = x if first else memory.best_x
    best_x = xp.where(better[:, None], x, before)
    ones = xp.ones_like(x)
    features = xp.stack(
        [
            x,
            best_x,
            x - before,
            value[:, None] * ones,
            gain[:, None] * ones,
            (gain < 0)[:, None] * ones,
            math.log(count) / 3 * ones,
            math.log(x.shape[1]) / 2 * ones,
        ],
        -1,
    )
    pooled = memory.hidden.mean(1)[:, None, :]
    gates = (
        features @ weights["input"]
        + pooled @ weights["pooled"]
        + memory.hidden @ weights["hidden"]
        + weights["bias"]
    )
    size = HIDDEN
    forget = _logistic(gates[..., :size], xp)
    entry = _logistic(gates[..., size : 2 * size], xp)
    exit = _logistic(gates[..., 2 * size : 3 * size], xp)
    cell = forget * memory.cell + entry * xp.tanh(gates[..., 3 * size :])
    best = xp.where(better, plain, memory.best)
    return Memory(exit * xp.tanh(cell), cell, count, mean, squares, best, best_x)


def propose(weights: Mapping[str, Array], memory: Memory, xp: Any) -> Array:
    """The next point, `B d` in [-1, 1], after one or more were read."""
    written = memory.hidden @ weights["output"] + weights["output_bias"]
    gate = _logistic(written[..., 0], xp)
    return memory.best_x + gate * (xp.tanh(written[..., 1]) - memory.best_x)


def _logistic(array: Array, xp: Any) -> Array:
    return 0.5 * (1 + xp.tanh(array / 2))


def _bounded(array: Array, xp: Any) -> Array:
    return _LARGEST * xp.tanh(array / _LARGEST)
