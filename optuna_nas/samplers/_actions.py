"""The parameters of a space as actions: what a policy or a table chooses, one after the other.

- A category is an action of its own, and so is each value of a numeric parameter with few of them.
- The range of any other number is cut into equal bins, on the log scale where it is log; within a
  bin the number is drawn uniformly.
- A parameter that an architecture does not use has no action: `ABSENT`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.samplers._activity import Activity
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.spaces.choices import distinct_choices, place_of
from optuna_nas.spaces.values import from_unit, unit

ABSENT = -1


class ActionCodes:
    """Translates between architectures and actions.

    Args:
        space: The space; its parameters are chosen in their order.
        num_bins: Into how many bins the range of a number is cut.

    Attributes:
        names: The parameters.
        sizes: How many actions there are for each.
    """

    def __init__(self, space: SearchSpace, num_bins: int) -> None:
        self.space = space
        self.names = list(space.distributions)
        self._values = [_values(d, num_bins) for d in space.distributions.values()]
        self.sizes = [num_bins if v is None else len(v) for v in self._values]
        self._distributions = list(space.distributions.values())

    def encode(self, architecture: Architecture) -> np.ndarray:
        """The action for each parameter."""
        return np.array([self._action(i, architecture) for i in range(len(self.names))])

    def decode(
        self, actions: Sequence[int] | np.ndarray, rng: np.random.Generator
    ) -> Architecture | None:
        """The architecture of some actions; None if no network can be built from it.

        Args:
            actions: One for each parameter; those that are absent are left out.
            rng: Draws within bins.
        """
        params = {}
        for i, action in enumerate(map(int, actions)):
            if action != ABSENT:
                params[self.names[i]] = self._value(i, action, rng)
        return self.space.read(params)

    def _action(self, i: int, architecture: Architecture) -> int:
        if self.names[i] not in architecture:
            return ABSENT
        value, distribution = architecture[self.names[i]], self._distributions[i]
        if isinstance(distribution, CategoricalDistribution):
            places = [place_of(choice, distribution) for choice in distinct_choices(distribution)]
            return places.index(place_of(value, distribution))
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        values = self._values[i]
        if values is not None:
            return int(np.abs(np.array(values, dtype=float) - value).argmin())
        return min(int(unit(value, distribution) * self.sizes[i]), self.sizes[i] - 1)

    def _value(self, i: int, action: int, rng: np.random.Generator) -> Any:
        values, distribution = self._values[i], self._distributions[i]
        if values is not None:
            return values[action]
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        return from_unit((action + rng.random()) / self.sizes[i], distribution)


def _values(distribution: BaseDistribution, num_bins: int) -> list[Any] | None:
    """The values that are actions of their own; None if there are too many."""
    if isinstance(distribution, CategoricalDistribution):
        return distinct_choices(distribution)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if distribution.single():
        return [distribution.low]
    if distribution.step is None or distribution.log:
        return None
    last = (distribution.high - distribution.low) / distribution.step
    if last + 1 > num_bins:
        return None
    count = round(last) + 1
    return [from_unit(step / max(count - 1, 1), distribution) for step in range(count)]


def settled(
    codes: ActionCodes,
    activity: Activity,
    draw: Callable[[np.ndarray], np.ndarray],
    rng: Callable[[], np.random.Generator],
) -> tuple[np.ndarray, Architecture | None]:
    """Draw actions for the parameters that the architecture uses, and for no others.

    What is used depends on what is chosen, so it is drawn again with the same numbers until
    nothing changes.

    Args:
        codes: Translate actions.
        activity: Which parameters are used when.
        draw: Draws actions, given which parameters are absent; the same for the same.
        rng: Makes the generator that draws within bins; the same each time.
    """
    absent = np.zeros(len(codes.names), dtype=bool)
    for _ in range(len(codes.names) + 1):
        actions = draw(absent)
        architecture = codes.decode(actions, rng())
        if architecture is None:
            break
        architecture = activity.reduced(architecture)
        unused = np.array([name not in architecture for name in codes.names])
        if not activity.conditional or (unused == absent).all():
            break
        absent = unused
    return actions, architecture
