"""Settings of an objective that are numbers, or that each trial suggests for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces.base import suggest_parameter

Tunable: TypeAlias = float | BaseDistribution
"""A number, or an Optuna distribution that each trial suggests the number from."""

Check: TypeAlias = Callable[[str, Any], Any]
"""Returns a value if it is allowed for an argument, and raises ValueError if not."""


class Tunables:
    """The tunable settings of an objective, checked.

    Args:
        values: The settings by name.
        checks: How a value of each is checked. A distribution passes if its ends do, or all of
            its choices.

    Raises:
        ValueError: A value, or one that a distribution can suggest, is not allowed.
    """

    def __init__(self, values: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
        self._values: dict[str, Any] = {}
        for name, value in values.items():
            self._values[name] = value
            if not isinstance(value, BaseDistribution):
                self._values[name] = checks[name](name, value)
                continue
            for possible in _extremes(value):
                try:
                    checks[name](name, possible)
                except ValueError as error:
                    raise ValueError(
                        f"`{name}` is {value!r}, which can suggest what is not allowed: {error}"
                    ) from error

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The settings that trials suggest."""
        return {n: v for n, v in self._values.items() if isinstance(v, BaseDistribution)}

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        """The value of a setting in a trial."""
        value = self._values[name]
        if isinstance(value, BaseDistribution):
            return suggest_parameter(trial, name, value)
        return value


def _extremes(distribution: BaseDistribution) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return distribution.low, distribution.high
