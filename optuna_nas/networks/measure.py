"""The size of a network: trainable parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module, *, auxiliary: bool = False) -> int:
    """Count the trainable parameters.

    Args:
        network: Any module; it may be on the `meta` device.
        auxiliary: Whether to count the auxiliary head. The field leaves it out, since it is
            thrown away after training: parameters whose name contains "auxiliary".
    """
    return sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (auxiliary or "auxiliary" not in name)
    )


def count_macs(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the multiply-accumulates of one input, which the field calls FLOPs.

    Those of convolutions and linear layers are counted, without biases, and only of what is
    computed in evaluation mode: neither the auxiliary head nor operations that cannot matter.
    The network is left as it was, batch statistics included.

    Args:
        network: A module that takes images `B C H W` or rows `B d`; it may be on the `meta`
            device.
        input_shape: The shape of an input: `(C, H, W)` of an image, `(d,)` of a row of numbers.

    Raises:
        ValueError: The shape is not one or three positive integers.
    """
    shape = tuple(input_shape)
    if len(shape) not in (1, 3) or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"`input_shape` is {input_shape!r}; allowed are positive integers (C, H, W) of an "
            "image, or (d,) of a row of numbers."
        )
    like = next(network.parameters(), torch.empty(0))
    image = torch.zeros(1, *shape, device=like.device, dtype=like.dtype)
    with evaluating(network), torch.no_grad():
        return macs_of(network, image)


def macs_of(network: nn.Module, inputs: Any) -> int:
    """Count the multiply-accumulates of a call; the network is in evaluation mode.

    Args:
        network: Any module.
        inputs: What it is called with; a mapping has keyword arguments.
    """
    with FlopCounterMode(display=False) as counter:
        if isinstance(inputs, Mapping):
            network(**inputs)
        else:
            network(inputs)
    return int(counter.get_total_flops()) // 2


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode, and every submodule back to the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
