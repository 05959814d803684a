"""Any set of Optuna parameters as a search space, so that our samplers serve every study."""

from __future__ import annotations

import json
import math
from itertools import compress
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from optuna_nas.spaces.architecture import Architecture
from optuna_nas.spaces.base import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_STEP = 0.1
"""A neighbour of a numeric value lies this share of its (log) range away."""


class FlatSpace(SearchSpace):
    """The parameters of an ordinary study: categorical, integer and float, with log or steps.

    Args:
        distributions: The Optuna distribution of every parameter.

    Raises:
        ValueError: There are no parameters.
        TypeError: A value is not an Optuna distribution.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        if not distributions:
            raise ValueError("`distributions` is empty; allowed is one parameter or more.")
        for name, distribution in distributions.items():
            if not isinstance(distribution, BaseDistribution):
                raise TypeError(
                    f"`distributions[{name!r}]` is {distribution!r}; allowed are Optuna "
                    "distributions such as CategoricalDistribution(['a', 'b'])."
                )
        super().__init__(distributions)
        self._fractional = {
            name
            for name, d in distributions.items()
            if isinstance(d, FloatDistribution)
            or (
                isinstance(d, CategoricalDistribution)
                and any(isinstance(c, float) for c in d.choices)
            )
        }
        self._variable = {name for name, d in distributions.items() if not d.single()}

    def read(self, params: Mapping[str, Any]) -> Architecture | None:
        """Build the architecture of a recorded trial.

        Parameters of other branches may be absent, and numbers may lie outside of a range that
        has changed since.
        """
        known = {name: value for name, value in params.items() if name in self._distributions}
        for name, value in known.items():
            distribution = self._distributions[name]
            if isinstance(distribution, CategoricalDistribution):
                if value not in distribution.choices:
                    return None
            elif not isinstance(value, (int, float)):
                return None
        return Architecture(self, known) if known else None

    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw every parameter uniformly, on the log scale where the distribution is log."""
        return Architecture(self, {name: draw(d, rng) for name, d in self._distributions.items()})

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Change each parameter with probability one over their number, at least one.

        A category becomes another one; a number moves by a normal step of a tenth to a half of
        its range.
        """
        params = architecture.params
        names = [name for name in params if name in self._variable]
        if not names:
            return architecture
        chosen = rng.random(len(names)) < 1 / len(names)
        chosen[rng.integers(len(names))] = True
        for name in compress(names, chosen):
            params[name] = perturb(params[name], self._distributions[name], rng)
        return Architecture(self, params)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return the settings with one other category, or one number moved by a step.

        The step is the distribution's own, or a tenth of the (log) range.
        """
        params = architecture.params
        return [
            Architecture(self, {**params, name: value})
            for name in params
            for value in _adjacent(params[name], self._distributions[name])
        ]

    def key(self, architecture: Architecture) -> str:
        """Return the text of the parameters: each setting is a function of its own.

        Floats are rounded to twelve digits: a step up and one down again is the same setting.
        """
        params = architecture.params
        for name in self._fractional.intersection(params):
            if isinstance(params[name], float):
                params[name] = float(f"{params[name]:.12g}")
        return json.dumps(params, sort_keys=True)

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return one unconnected node for each parameter, labelled `name = value`."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for name, value in architecture.params.items():
            graph.add_node(name, label=f"{name} = {value}")
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the parameters as JSON, sorted by name."""
        return json.dumps(architecture.params, sort_keys=True)

    def parse(self, text: str) -> Architecture:
        """Read the parameters from JSON; as in :meth:`read`, some may be absent.

        Raises:
            ValueError: The text is not a JSON object with parameters of this space.
        """
        try:
            params = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"`text` is {text!r}; needed is a JSON object: {error}.") from error
        architecture = self.read(params) if isinstance(params, dict) else None
        if architecture is None:
            raise ValueError(
                f"`text` is {text!r}; needed is a JSON object with values of "
                f"{list(self._distributions)}."
            )
        return architecture

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "distributions": {n: distribution_to_json(d) for n, d in self._distributions.items()},
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> SearchSpace:
        """Build the space that :meth:`to_dict` described."""
        return cls(
            {
                name: json_to_distribution(text)
                for name, text in description["distributions"].items()
            }
        )


def unit(value: Any, distribution: FloatDistribution | IntDistribution) -> float:
    """Where a number lies in its range, from 0 to 1, on the log scale where it is log."""
    low, high = _limits(distribution)
    if low == high:
        return 0.5
    position = math.log(max(value, 1e-300)) if distribution.log else float(value)
    return min(max((position - low) / (high - low), 0.0), 1.0)


def from_unit(position: float, distribution: FloatDistribution | IntDistribution) -> float | int:
    """The allowed number nearest to a position of :func:`unit`."""
    low, high = _limits(distribution)
    value = low + position * (high - low)
    value = math.exp(value) if distribution.log else value
    if distribution.step is not None:
        steps = round((value - distribution.low) / distribution.step)
        value = distribution.low + steps * distribution.step
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
        return _on_grid(int(rng.integers(_last_step(distribution) + 1)), distribution)
    return from_unit(rng.random(), distribution)


def perturb(value: Any, distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Return a different value of the distribution, near the given one for numbers."""
    if isinstance(distribution, CategoricalDistribution):
        others = [choice for choice in distribution.choices if choice != value]
        return others[rng.integers(len(others))]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    here = unit(value, distribution)
    for scale in (_STEP, 2 * _STEP, 5 * _STEP):
        there = here + scale * rng.normal()
        if 0 <= there <= 1 and (moved := from_unit(there, distribution)) != value:
            return moved
    while (drawn := draw(distribution, rng)) == value:
        pass
    return drawn


def _limits(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    if distribution.log:
        return math.log(distribution.low), math.log(distribution.high)
    return distribution.low, distribution.high


def _last_step(distribution: FloatDistribution | IntDistribution) -> int:
    assert distribution.step is not None
    return math.floor((distribution.high - distribution.low) / distribution.step + 1e-9)


def _on_grid(step: int, distribution: FloatDistribution | IntDistribution) -> float | int:
    """The value of a step, always computed the same way so that equal values are identical."""
    assert distribution.step is not None
    return min(distribution.low + step * distribution.step, distribution.high)


def _adjacent(value: Any, distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return [choice for choice in distribution.choices if choice != value]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if distribution.step is not None and not distribution.log:
        step = round((value - distribution.low) / distribution.step)
        return [
            _on_grid(moved, distribution)
            for moved in (step - 1, step + 1)
            if 0 <= moved <= _last_step(distribution)
        ]
    here = unit(value, distribution)
    moved = [from_unit(min(max(here + s, 0.0), 1.0), distribution) for s in (-_STEP, _STEP)]
    return [v for v in moved if v != value]
