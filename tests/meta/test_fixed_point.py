"""Multiplications that can be undone to the last bit."""

from __future__ import annotations

import math
import re

import pytest
import torch

from optuna_nas.meta.fixed_point import BitStore, fraction, to_floats, to_integers


def integers(size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(2**62) + 1, 2**62, (size,), generator=generator)


def test_one_multiplication_by_hand() -> None:
    """3/4 of 2^16 + 5: the rest 5 is pushed, 0 is popped; then -7 with the store at 5."""
    number = torch.tensor([2**16 + 5])
    store = BitStore(number)
    product = store.multiply(number, 49152)
    assert product.item() == 49152 + 5  # 5 mod n is popped again
    assert store.undo(product, 49152).item() == 2**16 + 5
    assert store.is_empty


@pytest.mark.parametrize("momentum", [0.01, 0.5, 0.9, 0.999])
def test_products_are_right(momentum: float) -> None:
    numbers = integers(1000)
    product = BitStore(numbers).multiply(numbers, fraction(momentum))
    effective = fraction(momentum) / 2**16
    assert abs(effective - momentum) <= 2**-17
    error = (to_floats(product) - effective * to_floats(numbers)).abs().max()
    assert float(error) < 2**16 / 2**52 * 2


def test_many_steps_of_changing_momentum_return_bit_by_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    momenta = (0.02 + 0.97 * torch.rand(300, generator=generator)).tolist()
    added = torch.randint(-(2**40), 2**40, (300, 50), generator=generator)
    now, way = integers(50), []
    store = BitStore(now)
    for momentum, more in zip(momenta, added, strict=True):
        way.append(now)
        now = store.multiply(now, fraction(momentum)) + more
    assert store.bits > 300 * 0.5
    for momentum, more, before in zip(momenta[::-1], added.flip(0), way[::-1], strict=True):
        now = store.undo(now - more, fraction(momentum))
        assert torch.equal(now, before)
    assert store.is_empty


@pytest.mark.parametrize(("momentum", "steps"), [(0.5, 100), (0.9, 300), (0.98, 1500)])
def test_the_store_grows_by_the_information_that_is_lost(momentum: float, steps: int) -> None:
    generator = torch.Generator().manual_seed(2)
    added = torch.randn(steps, 200, generator=generator, dtype=torch.float64)
    now = integers(200)
    store = BitStore(now)
    for more in added:
        now = store.multiply(now, fraction(momentum)) + to_integers(more)
    assert store.bits / steps == pytest.approx(math.log2(1 / momentum), rel=0.1)


@pytest.mark.parametrize("momentum", [0.0, 1.0, -0.1, 1e-6, 1 - 1e-6, math.nan])
def test_momentum_out_of_range(momentum: float) -> None:
    with pytest.raises(ValueError, match=rf"^`momentum` is {re.escape(repr(momentum))}; a train"):
        fraction(momentum)


def test_floats_return_within_two_to_the_minus_52() -> None:
    values = torch.tensor([0.1, -0.1, 1000.7, 2**-52, -3.0], dtype=torch.float64)
    assert float((to_floats(to_integers(values)) - values).abs().max()) <= 2**-52
