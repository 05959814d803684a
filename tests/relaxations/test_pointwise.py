"""The stacked pointwise convolution with batch norm against torch's own layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from optuna_nas.relaxations.pointwise import PointwiseNorm, _PointwiseNorm

SIZES = [(1, 3), (3, 4), (4, 16), (5, 20)]  # block-diagonal and one by one


def separate(x: torch.Tensor, layer: PointwiseNorm, scale: torch.Tensor) -> torch.Tensor:
    out = torch.einsum("rei,eoi->reo", x, layer.weight)
    normed = F.batch_norm(out.flatten(1), None, None, training=True)
    return normed.view_as(out) * scale[:, None]


@pytest.mark.parametrize(("edges", "channels"), SIZES)
def test_value_and_gradients(edges: int, channels: int) -> None:
    layer = PointwiseNorm(edges, channels).double()
    x = torch.randn(40, edges, channels, dtype=torch.float64).relu().requires_grad_()
    scale = torch.rand(edges, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(x, scale), separate(x, layer, scale)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    upstream = torch.randn_like(ours)
    leaves = [x, layer.weight, scale]
    for a, b in zip(
        torch.autograd.grad(ours, leaves, upstream),
        torch.autograd.grad(theirs, leaves, upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("edges", "channels"), [(2, 3), (3, 24)])
def test_it_can_be_differentiated_twice(edges: int, channels: int) -> None:
    layer = PointwiseNorm(edges, channels).double()
    x = torch.randn(7, edges, channels, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(edges, dtype=torch.float64, requires_grad=True)

    def second(out: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = [x, layer.weight, scale]
        first = torch.autograd.grad(out.pow(3).sum(), leaves, create_graph=True)
        squares = torch.stack([g.square().sum() for g in first])
        return torch.autograd.grad(squares.sum(), leaves)

    for a, b in zip(
        second(_PointwiseNorm.apply(x, layer.weight, scale)[0]),  # type: ignore[no-untyped-call]
        second(separate(x, layer, scale)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-8)


def test_running_statistics_are_those_of_batch_norm() -> None:
    layer, norm = PointwiseNorm(2, 3), torch.nn.BatchNorm1d(6, affine=False)
    for _ in range(3):
        x = torch.randn(10, 2, 3)
        layer(x)
        norm(torch.einsum("rei,eoi->reo", x, layer.weight).flatten(1))
    torch.testing.assert_close(layer.running_mean.flatten(), norm.running_mean)
    torch.testing.assert_close(layer.running_var.flatten(), norm.running_var)
    x = torch.randn(5, 2, 3)
    expected = norm.eval()(torch.einsum("rei,eoi->reo", x, layer.weight).flatten(1))
    torch.testing.assert_close(layer.eval()(x).flatten(1), expected)


def test_a_constant_channel_stays_finite() -> None:
    layer = PointwiseNorm(2, 4)
    x = torch.full((50, 2, 4), 3.7, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert x.grad is not None
    assert bool(out.isfinite().all()) and bool(x.grad.isfinite().all())


def test_one_row() -> None:
    with pytest.raises(ValueError, match="larger `batch_size`"):
        PointwiseNorm(1, 2)(torch.zeros(1, 1, 2))
    PointwiseNorm(1, 2).eval()(torch.zeros(1, 1, 2))
