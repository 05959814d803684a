"""The rearranged depthwise convolutions against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from optuna_nas.supernets.depthwise import depthwise_conv, join_phases, split_phases


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (9, 3), (2, 2), (1, 1), (5, 4)])
def test_value_and_gradients(
    shape: tuple[int, int], size: int, stride: int, dtype: torch.dtype
) -> None:
    x = torch.randn(2, 6, *shape, dtype=dtype, requires_grad=True)
    weight = torch.randn(6, 1, size, size, dtype=dtype, requires_grad=True)
    ours = depthwise_conv(x, weight, stride)
    theirs = F.conv2d(x, weight, stride=stride, padding=size // 2, groups=6)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, [x, weight], upstream),
        torch.autograd.grad(theirs, [x, weight], upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_wide_one_can_be_differentiated_twice() -> None:
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    weight = torch.randn(3, 1, 5, 5, requires_grad=True)

    def second(out: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = torch.autograd.grad(out.square().sum(), [x, weight], create_graph=True)
        squares = torch.stack([g.square().sum() for g in first])
        return torch.autograd.grad(squares.sum(), [x, weight])

    ours = second(depthwise_conv(x, weight))
    for a, b in zip(ours, second(F.conv2d(x, weight, padding=2, groups=3)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1.0)


@pytest.mark.parametrize("size", [3, 5])
def test_phases_turn_dilation_into_none(size: int) -> None:
    x, weight = torch.randn(3, 4, 6, 8), torch.randn(4, 1, size, size)
    assert torch.equal(join_phases(split_phases(x)), x)
    padding = 2 * (size // 2)
    whole = F.conv2d(x, weight, padding=padding, dilation=2, groups=4)
    torch.testing.assert_close(join_phases(depthwise_conv(split_phases(x), weight)), whole)
    x = torch.randn(3, 4, 7, 5)
    halved = F.conv2d(x, weight, stride=2, padding=padding, dilation=2, groups=4)
    torch.testing.assert_close(depthwise_conv(x[:, :, ::2, ::2], weight), halved)
