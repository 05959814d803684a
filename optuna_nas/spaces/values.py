"""Values of Optuna parameters: how they are drawn, moved, and placed from 0 to 1.

Ranges may be as wide as numbers go: integers are computed exactly, and where the width of a range
of floats is infinite in double precision, in halves.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces.choices import distinct_choices, place_of

if TYPE_CHECKING:
    import numpy as np

_STEP = 0.1
"""A neighbour of a numeric value lies this share of its (log) range away."""

_LEAST = math.ulp(0.0)
"""Stands for what has no logarithm."""


def unit(value: Any, distribution: FloatDistribution | IntDistribution) -> float:
    """Where a number lies in its range, from 0 to 1, on the log scale where it is log."""
    low, high = _limits(distribution)
    if low == high:
        return 0.5
    position = math.log(max(value, _LEAST)) if distribution.log else value
    if math.isinf(high - low):
        position, low, high = position / 2, low / 2, high / 2
    return min(max((position - low) / (high - low), 0.0), 1.0)


def from_unit(position: float, distribution: FloatDistribution | IntDistribution) -> float | int:
    """The allowed number nearest to a position of :func:`unit`."""
    low, high = _limits(distribution)
    width = high - low
    value = low * (1 - position) + high * position if math.isinf(width) else low + position * width
    value = math.exp(min(value, high)) if distribution.log else value
    if distribution.step is not None:
        value = _on_grid(_step_of(value, distribution), distribution)
    value = min(max(value, distribution.low), distribution.high)
    if isinstance(distribution, IntDistribution):
        return round(value)
    return float(value)


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Draw from a distribution uniformly, on the log scale where it is log."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if distribution.step is not None and not distribution.log:
        return _on_grid(_integer(_last_step(distribution), rng), distribution)
    return from_unit(rng.random(), distribution)


def can_change(distribution: BaseDistribution) -> bool:
    """Whether there are values that a storage tells apart."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distinct_choices(distribution)) > 1
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return not distribution.single() and float(distribution.low) != float(distribution.high)


def perturb(value: Any, distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Return a different value of the distribution, near the given one for numbers.

    Args:
        value: A value.
        distribution: It has others (:func:`can_change`).
        rng: The source of randomness.
    """
    if isinstance(distribution, CategoricalDistribution):
        others = _other_choices(value, distribution)
        return others[rng.integers(len(others))]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    here = unit(value, distribution)
    for scale in (_STEP, 2 * _STEP, 5 * _STEP):
        there = here + scale * rng.normal()
        if 0 <= there <= 1 and _differ(moved := from_unit(there, distribution), value):
            return moved
    while not _differ(drawn := draw(distribution, rng), value):
        pass
    return drawn


def adjacent(value: Any, distribution: BaseDistribution) -> list[Any]:
    """Return the values next to one: all other choices, or a number a step down and one up."""
    if isinstance(distribution, CategoricalDistribution):
        return _other_choices(value, distribution)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if distribution.step is not None and not distribution.log:
        step, last = _step_of(value, distribution), _last_step(distribution)
        # Next to large numbers a step is less than what double precision tells apart.
        size = max(1, math.ceil(2 * math.ulp(float(value)) / distribution.step))
        moved = [_on_grid(s, distribution) for s in (step - size, step + size) if 0 <= s <= last]
    else:
        here = unit(value, distribution)
        down, up = (
            from_unit(min(max(there, 0.0), 1.0), distribution)
            for there in (here - _STEP, here + _STEP)
        )
        if isinstance(distribution, IntDistribution):
            down, up = min(down, value - 1), max(up, value + 1)
        moved = [v for v in (down, up) if distribution.low <= v <= distribution.high]
    moved = [v for v in moved if _differ(v, value)]
    return moved or [v for v in (distribution.low, distribution.high) if _differ(v, value)]


def _other_choices(value: Any, distribution: CategoricalDistribution) -> list[Any]:
    place = place_of(value, distribution)
    return [c for c in distinct_choices(distribution) if place_of(c, distribution) != place]


def _differ(first: float, second: float) -> bool:
    """Whether a storage tells two numbers apart."""
    return float(first) != float(second)


def _limits(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    if distribution.log:
        return math.log(distribution.low), math.log(distribution.high)
    return distribution.low, distribution.high


def _integer(last: int, rng: np.random.Generator) -> int:
    """Draw an integer from 0 to the last one, which may be of any size."""
    if last < 2**63:
        return int(rng.integers(last, endpoint=True))
    # Eight bytes more than it needs: no integer is likelier than another by 1e-19.
    return int.from_bytes(rng.bytes(last.bit_length() // 8 + 9), "little") % (last + 1)


def _last_step(distribution: FloatDistribution | IntDistribution) -> int:
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step
    return math.floor(_steps(distribution.high, distribution) + 1e-9)


def _step_of(value: float, distribution: FloatDistribution | IntDistribution) -> int:
    """The step nearest to a number."""
    return round(_steps(value, distribution))


def _steps(value: float, distribution: FloatDistribution | IntDistribution) -> float:
    low, step = distribution.low, distribution.step
    assert step is not None
    width = value - low
    steps = width / step if math.isfinite(width) else value / step - low / step
    return min(steps, sys.float_info.max)


def _on_grid(step: int, distribution: FloatDistribution | IntDistribution) -> float | int:
    """The value of a step, always computed the same way so that equal values are identical."""
    low, size = distribution.low, distribution.step
    assert size is not None
    value = low + step * size
    if math.isinf(value):
        value = 2 * (low / 2 + step * (size / 2))
    return min(value, distribution.high)
