"""The stacked pointwise convolution with batch norm against torch's own layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from optuna_nas.supernets.pointwise import PointwiseNorm, _PointwiseNorm

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
    leaves = [x, *layer.parameters(), scale]
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
        leaves = [x, *layer.parameters(), scale]
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


@pytest.mark.parametrize("shift", [0.0, 1.0, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("half", [False, True])
def test_a_mean_far_from_zero(shift: float, half: bool) -> None:
    """As exact as two layers are, in single precision and under autocast."""
    layer = PointwiseNorm(2, 16)
    x = torch.randn(4096, 2, 16).relu() + shift
    truth = _normalised(x.double(), layer.weight.detach().double())
    single = _normalised(x, layer.weight.detach())
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        ours = layer(x).detach()
    assert ours.dtype == torch.float32
    error, expected = ((found - truth).abs().max() for found in (ours, single))
    assert float(error) < max(3 * float(expected), 1e-5)
    mean = torch.einsum("rei,eoi->reo", x.double(), layer.weight.detach().double()).mean(0)
    torch.testing.assert_close(layer.running_mean.double(), 0.1 * mean, rtol=1e-5, atol=1e-5)


def _normalised(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    out = torch.einsum("rei,eoi->reo", x, weight)
    return F.batch_norm(out.flatten(1), None, None, training=True).view_as(out)


@pytest.mark.parametrize("twice", [False, True])
def test_gradients_about_a_shift(twice: bool) -> None:
    layer = PointwiseNorm(3, 4).double()
    x = (torch.randn(30, 3, 4, dtype=torch.float64) + 50).requires_grad_()
    scale = torch.rand(3, dtype=torch.float64, requires_grad=True)
    leaves = [x, *layer.parameters(), scale]
    found = []
    for out in (layer(x, scale), separate(x, layer, scale)):
        gradients = torch.autograd.grad(out.pow(3).sum(), leaves, create_graph=twice)
        if twice:
            squares = torch.stack([g.square().sum() for g in gradients])
            gradients = torch.autograd.grad(squares.sum(), leaves)
        found.append(gradients)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_half_precision_inputs_get_gradients_of_their_own_type() -> None:
    layer = PointwiseNorm(2, 4)
    x = torch.randn(20, 2, 4, dtype=torch.bfloat16, requires_grad=True)
    layer(x).square().sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(("edges", "channels"), SIZES)
def test_one_edge_alone(edges: int, channels: int) -> None:
    """The same values and statistics as among all edges; those of the others stay."""
    together, alone = PointwiseNorm(edges, channels), PointwiseNorm(edges, channels)
    alone.load_state_dict(together.state_dict())
    together, alone = together.double(), alone.double()
    images = torch.randn(3, channels, 4, 4, dtype=torch.float64)
    rows = images.permute(0, 2, 3, 1).reshape(-1, 1, channels)
    last = edges - 1
    expected = together(rows.expand(-1, edges, -1).contiguous())[:, last]
    found = alone.on_edge(images, last).permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(alone.running_var[last], together.running_var[last])
    assert bool((alone.running_var[:last] == 1).all())
