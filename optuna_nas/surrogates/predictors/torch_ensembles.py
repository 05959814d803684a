"""What the predictors that learn with torch share: one thread, and layers stacked over members."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def single_torch_thread() -> Iterator[None]:
    """Limit torch to one thread inside the block, where matrices are small, and restore it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def stacked_weights(members: int, inputs: int, outputs: int, rng: np.random.Generator) -> Tensor:
    """Glorot-uniform weights of one layer of all members, `e x in x out`."""
    limit = math.sqrt(6 / (inputs + outputs))
    drawn = rng.uniform(-limit, limit, size=(members, inputs, outputs))
    return torch.tensor(drawn, dtype=torch.float32, requires_grad=True)


def stacked_biases(members: int, outputs: int) -> Tensor:
    """Zero biases of one layer of all members, `e x 1 x out`."""
    return torch.zeros(members, 1, outputs, requires_grad=True)


def dense_layer(inputs: int, outputs: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Glorot-uniform weights `in x out` and zero biases `out` of a layer of a single network."""
    weights = stacked_weights(1, inputs, outputs, rng).detach()[0].requires_grad_()
    return weights, torch.zeros(outputs, requires_grad=True)


def minimise(
    loss: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float,
) -> None:
    """Take steps of Adam with decoupled weight decay, the learning rate falling as a cosine.

    Afterwards the parameters need no gradients any more.

    Args:
        loss: Returns the loss of the next minibatch.
        parameters: What is learnt.
        steps: The number of steps.
        learning_rate: The step size at the start.
        weight_decay: A step shrinks the parameters by this times the learning rate.
    """
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
    for step in range(steps):
        rate = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
        parameter.grad = None
