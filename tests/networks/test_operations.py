from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from optuna_nas.networks import (
    count_parameters,
    known_operations,
    operation,
    operations,
    register_operation,
)

CHANNELS = 16

# k: kernel, C: channels, closed forms of operations C -> C
WEIGHTS = {
    "none": 0,
    "max_pool_3x3": 0,
    "avg_pool_3x3": 0,
    "maxpool3x3": 0,
    "skip_connect": 0,
    "nor_conv_1x1": CHANNELS**2 + 2 * CHANNELS,
    "nor_conv_3x3": 9 * CHANNELS**2 + 2 * CHANNELS,
    "conv1x1-bn-relu": CHANNELS**2 + 2 * CHANNELS,
    "conv3x3-bn-relu": 9 * CHANNELS**2 + 2 * CHANNELS,
    "sep_conv_3x3": 864,
    "sep_conv_5x5": 1376,
    "sep_conv_7x7": 2 * (49 * CHANNELS + CHANNELS**2) + 4 * CHANNELS,
    "dil_conv_3x3": 432,
    "dil_conv_5x5": 688,
    "conv_7x1_1x7": 14 * CHANNELS**2 + 2 * CHANNELS,
}


@pytest.mark.parametrize(("name", "weights"), WEIGHTS.items())
def test_parameter_counts(name: str, weights: int) -> None:
    assert count_parameters(operation(name)(CHANNELS, CHANNELS, 1)) == weights
    halving = 288 if name == "skip_connect" else weights
    assert count_parameters(operation(name)(CHANNELS, CHANNELS, 2)) == halving


def test_all_published_operations_are_known() -> None:
    assert set(WEIGHTS) <= set(known_operations())


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_shapes(name: str) -> None:
    for stride, channels_out, (height, width) in product(
        (1, 2), (4, 7), ((8, 8), (7, 5), (8, 3), (1, 1))
    ):
        module = operation(name)(4, channels_out, stride).eval()
        out = module(torch.randn(2, 4, height, width))
        assert out.shape == (2, channels_out, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize("name", sorted(set(WEIGHTS) - {"none"}))
def test_operations_leave_their_input_alone(name: str) -> None:
    # Several operations read the same node: none may write to it.
    for stride in (1, 2):
        x = torch.randn(2, 4, 6, 6)
        before = x.clone()
        operation(name)(4, 4, stride)(x)
        assert torch.equal(x, before)


def test_values_of_operations_without_weights() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(operation("skip_connect")(1, 1, 1)(x), x)
    assert torch.equal(operation("none")(1, 1, 1)(x), torch.zeros_like(x))
    # The padding does not count in an average: the corner is the mean of 0, 1, 4 and 5.
    assert operation("avg_pool_3x3")(1, 1, 1)(x)[0, 0, 0, 0] == 2.5
    assert operation("max_pool_3x3")(1, 1, 1)(x)[0, 0, 0, 0] == 5.0


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("nor_conv_1x1", 0),
        ("nor_conv_3x3", 1),
        ("avg_pool_3x3", 1),
        ("sep_conv_3x3", 2),
        ("sep_conv_5x5", 4),
        ("sep_conv_7x7", 6),
        ("dil_conv_3x3", 2),
        ("dil_conv_5x5", 4),
        ("conv_7x1_1x7", 3),
    ],
)
def test_receptive_field(name: str, reach: int) -> None:
    x = torch.rand(1, 4, 17, 17, requires_grad=True)
    out = operation(name)(4, 4, 1).eval()(x)
    (gradient,) = torch.autograd.grad(out[0, :, 8, 8].sum(), x)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten().tolist()
    assert (rows[0], rows[-1]) == (8 - reach, 8 + reach)


def test_halving_skip_reads_two_interleaved_grids() -> None:
    x = torch.rand(1, 2, 6, 6, requires_grad=True)
    out = operation("skip_connect")(2, 4, 2).eval()(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    read = gradient.abs().sum(dim=(0, 1)) > 0
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    assert torch.equal(read, (rows % 2) == (columns % 2))


def test_unknown_operation_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"nor_conv_3x4.*sep_conv_3x3"):
        operation("nor_conv_3x4")


def test_registering_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_FACTORIES", dict(operations._FACTORIES))

    def define(scale: int) -> None:
        @register_operation("scaled")
        def scaled(channels_in: int, channels_out: int, stride: int) -> nn.Module:
            return nn.Conv2d(channels_in, channels_out, scale, stride)

    define(1)
    define(3)  # the same definition run again: the later one counts
    assert count_parameters(operation("scaled")(1, 1, 1)) == 10
    assert known_operations()[-1] == "scaled"


def test_names_cannot_be_taken_twice() -> None:
    for name in ("none", "sep_conv_3x3"):
        with pytest.raises(ValueError, match="belongs to another"):
            register_operation(name)(nn.Conv2d)
    with pytest.raises(ValueError, match="`name` is ''"):
        register_operation("")


def test_skip_connect_refuses_other_strides() -> None:
    with pytest.raises(ValueError, match="`stride` is 3"):
        operation("skip_connect")(4, 4, 3)
