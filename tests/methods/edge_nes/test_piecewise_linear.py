"""The curve of the hypernetwork: exact at its pivots, continuous, in order."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from optuna_nas.methods import PiecewiseLinear


def curve(seed: int = 0, pivots: int = 5, size: int = 3) -> PiecewiseLinear:
    """A curve with pivots at unequal distances."""
    generator = torch.Generator().manual_seed(seed)
    made = PiecewiseLinear(4.0, size, pivots=pivots, generator=generator).double()
    with torch.no_grad():
        made.gaps.copy_(30 * torch.randn(pivots - 1, generator=generator))
    return made


@pytest.mark.parametrize("pivots", [2, 3, 5, 9])
def test_exact_at_the_pivots(pivots: int) -> None:
    made = curve(pivots=pivots)
    for place, value in zip(made.pivots.tolist(), made.values, strict=True):
        assert torch.equal(made(place), value)


def test_continuous_at_the_pivots() -> None:
    made = curve()
    for place in made.pivots[1:-1].tolist():
        with torch.no_grad():
            steepest = float(made.values.diff(dim=0).abs().max() / made.pivots.diff().min())
            jump = (made(place + 1e-9) - made(place - 1e-9)).abs().max()
        assert float(jump) <= 2.1e-9 * steepest


def test_linear_between_the_pivots() -> None:
    made = curve()
    for k, (low, high) in enumerate(zip(made.pivots[:-1], made.pivots[1:], strict=True)):
        for share in (0.1, 0.5, 0.8):
            expected = (1 - share) * made.values[k] + share * made.values[k + 1]
            found = made(low + share * (high - low))
            torch.testing.assert_close(found, expected)


def test_constant_beyond_the_ends() -> None:
    made = curve()
    assert torch.equal(made(-0.2), made.values[0])
    assert torch.equal(made(4.2), made.values[-1])


def test_pivots_start_equally_spaced_and_stay_in_order() -> None:
    generator = torch.Generator().manual_seed(0)
    fresh = PiecewiseLinear(4.0, 2, pivots=5, generator=generator)
    torch.testing.assert_close(fresh.pivots.detach(), torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]))
    for seed in range(20):
        pivots = curve(seed, pivots=7).pivots.detach()
        assert bool((pivots.diff() > 0).all())
        assert float(pivots[0]) == 0.0 and float(pivots[-1]) == 4.0


@pytest.mark.parametrize("signs", list(product((-1000.0, 1000.0), repeat=4)))
def test_extreme_gaps(signs: tuple[float, ...]) -> None:
    """Wherever an optimiser takes the gaps, no piece is without a length or a slope."""
    made = PiecewiseLinear(4.0, 3, pivots=5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.gaps.copy_(torch.tensor(signs))
    pivots = made.pivots.detach()
    assert float(pivots[0]) == 0.0 and float(pivots[-1]) == 4.0
    assert bool((pivots.diff() > 0).all())
    middles = (pivots[:-1] + pivots[1:]) / 2
    for place in [*pivots.tolist(), *middles.tolist(), *torch.linspace(-0.2, 4.2, 12).tolist()]:
        made.zero_grad()
        value = made(place)
        value.square().sum().backward()
        assert bool(value.isfinite().all())
        for parameter in (made.gaps, made.values):
            assert parameter.grad is not None
            assert bool(parameter.grad.isfinite().all())


def test_pivots_and_values_are_learnt() -> None:
    """A curve with a bend that is not at a pivot's start: the pivot moves there."""
    made = PiecewiseLinear(4.0, 1, pivots=3, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3000):
        x = 4 * torch.rand((), generator=generator)
        loss = (made(x) - (x - 2.8).clamp_min(0.0)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(made.pivots[1].detach()) == pytest.approx(2.8, abs=0.15)
    assert made.values.flatten().tolist() == pytest.approx([0.0, 0.0, 1.2], abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pivots": 1}, "`pivots` is 1; allowed is an integer of 2 or more"),
        ({"length": 0.0}, "`length` is 0.0; allowed are positive numbers"),
        ({"size": 0}, "`size` is 0"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"length": 4.0, "size": 2, "pivots": 5}
    with pytest.raises(ValueError, match=message):
        PiecewiseLinear(**settings | options, generator=torch.Generator())
