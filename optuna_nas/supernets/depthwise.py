"""Depthwise convolutions of many stacked edges, arranged so that a CPU is fast at them.

Two rearrangements, both exact:

1. A convolution with dilation 2 sees the pixels of one parity at a time: on an even grid it is the
   same convolution without dilation on the four grids of every second pixel
   (:func:`split_phases`), and with stride 2 on the first of them alone.
2. The gradient of a 5x5 kernel is taken in three pieces, the three columns in the middle and the
   two outside: oneDNN has a fast gradient of depthwise kernels of at most three columns, and a
   slow general one for wider kernels (three times the time, all copies included).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

_WIDE = 5


def depthwise_conv(x: torch.Tensor, weight: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """Convolve each channel with its own kernel.

    Args:
        x: `B C H W`.
        weight: Kernels of odd size, `C 1 k k`.
        stride: 1 or 2.

    Returns:
        `B C H/stride W/stride`, rounded up.
    """
    size = weight.shape[-1]
    if size == _WIDE and x.shape[3] > 2 and _has_fast_kernels(x):
        out: torch.Tensor = _WideDepthwise.apply(x, weight, stride)  # type: ignore[no-untyped-call]
        return out
    return F.conv2d(x, weight, stride=stride, padding=size // 2, groups=x.shape[1])


def split_phases(x: torch.Tensor) -> torch.Tensor:
    """Turn images of even sides into four each, of every second row and column.

    Args:
        x: `B C H W`, with even H and W.

    Returns:
        `4B C H/2 W/2`, in channels-last order.
    """
    batch, channels, height, width = x.shape
    grid = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    phases = grid.permute(2, 4, 0, 1, 3, 5).reshape(4 * batch, height // 2, width // 2, channels)
    return phases.permute(0, 3, 1, 2)


def join_phases(x: torch.Tensor) -> torch.Tensor:
    """Undo :func:`split_phases`: `4B C H W` to `B C 2H 2W`."""
    batch, channels, height, width = x.shape
    grid = x.permute(0, 2, 3, 1).reshape(2, 2, batch // 4, height, width, channels)
    whole = grid.permute(2, 3, 0, 4, 1, 5).reshape(batch // 4, 2 * height, 2 * width, channels)
    return whole.permute(0, 3, 1, 2)


def _has_fast_kernels(x: torch.Tensor) -> bool:
    on_cpu = x.device.type == "cpu" and x.dtype == torch.float32
    on_cpu = on_cpu and not torch.is_autocast_enabled("cpu")
    return on_cpu and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


class _WideDepthwise(torch.autograd.Function):
    """A 5x5 depthwise convolution whose kernels' gradient is taken column by column."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride, padding=2, groups=x.shape[1])

    @staticmethod
    def backward(
        ctx: Any, grad: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        x, weight = ctx.saved_tensors
        stride = ctx.stride
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _gradients(grad, x, weight, stride, (2, 2), (True, False))[0]
        if ctx.needs_input_grad[1]:
            # Output column w reads the input columns s*w-2 ... s*w+2; `step` is that 2 in outputs.
            step = 2 // stride
            left, middle, right = weight[..., :1], weight[..., 1:4], weight[..., 4:]
            parts = (
                (grad[..., step:], x[..., :-2], left, 0),
                (grad, x, middle, 1),
                (grad[..., : grad.shape[3] - step], x[..., 2:], right, 0),
            )
            pieces = [
                _gradients(outputs, inputs, columns, stride, (2, padding), (False, True))[1]
                for outputs, inputs, columns, padding in parts
            ]
            grad_weight = torch.cat(pieces, dim=3)  # C 1 5 5
        return grad_x, grad_weight, None


def _gradients(
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: int,
    padding: tuple[int, int],
    wanted: tuple[bool, bool],
) -> Any:
    """The gradients of a depthwise convolution: that of `x`, that of `weight`, None."""
    # torch.nn.grad has functions for each, but they lose the channels-last order of `x`.
    return torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        None,
        (stride, stride),
        padding,
        (1, 1),
        False,
        (0, 0),
        x.shape[1],
        (*wanted, False),
    )
