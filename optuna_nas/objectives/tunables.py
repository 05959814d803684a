"""Settings of an objective that are numbers, or that each trial suggests for itself."""

from __future__ import annotations

from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Tunable: TypeAlias = float | BaseDistribution
"""A number, or an Optuna distribution that each trial suggests the number from."""


def extremes(distribution: BaseDistribution) -> tuple[Any, ...]:
    """What a distribution can suggest: its ends, or all of its choices."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return distribution.low, distribution.high
