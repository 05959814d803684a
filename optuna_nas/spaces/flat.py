"""Any set of Optuna parameters as a search space, so that our samplers serve every study."""

from __future__ import annotations

import json
import math
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    distribution_to_json,
    json_to_distribution,
)

from optuna_nas.spaces.architecture import Architecture
from optuna_nas.spaces.base import SearchSpace
from optuna_nas.spaces.choices import is_plain, place_of, text_of
from optuna_nas.spaces.values import adjacent, can_change, draw, perturb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

_EXACT = 2**53
"""Storages keep numbers in double precision, in which larger integers are rounded."""


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
        self._variable = {name for name, d in distributions.items() if can_change(d)}
        self._odd = {
            name: d
            for name, d in distributions.items()
            if isinstance(d, CategoricalDistribution) and not is_plain(d)
        }

    def read(self, params: Mapping[str, Any]) -> Architecture | None:
        """Build the architecture of a recorded trial.

        Parameters of other branches may be absent, and numbers may lie outside of a range that
        has changed since.
        """
        known = {name: value for name, value in params.items() if name in self._distributions}
        for name, value in known.items():
            distribution = self._distributions[name]
            if isinstance(distribution, CategoricalDistribution):
                try:
                    known[name] = distribution.choices[place_of(value, distribution)]
                except ValueError:
                    return None
            elif not (isinstance(value, (int, float)) and math.isfinite(value)):
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

        The step is the distribution's own, or a tenth of the (log) range; at least to the next
        integer.
        """
        params = architecture.params
        return [
            Architecture(self, {**params, name: value})
            for name in params
            for value in adjacent(params[name], self._distributions[name])
        ]

    def key(self, architecture: Architecture) -> str:
        """Return the text of the parameters: each setting is a function of its own.

        Floats are rounded to twelve digits: a step up and one down again is the same setting.
        """
        return json.dumps(self._stored(architecture), sort_keys=True)

    def identify(self, params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """Return the parameters sorted by name, odd choices by their places."""
        places = ((name, place_of(params[name], self._odd[name])) for name in self._odd_in(params))
        return super().identify({**params, **dict(places)})

    def _stored(self, architecture: Architecture) -> dict[str, Any]:
        """The parameters as a storage tells them apart."""
        params = architecture.params
        for name, value in params.items():
            if name in self._odd:
                params[name] = place_of(value, self._odd[name])
            elif name in self._fractional and isinstance(value, float):
                params[name] = float(f"{value:.12g}")
            elif isinstance(value, int) and abs(value) > _EXACT:
                params[name] = int(float(value))
        return params

    def _odd_in(self, params: Mapping[str, Any]) -> Iterator[str]:
        return (name for name in self._odd if name in params)

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return one unconnected node for each parameter, labelled `name = value`."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for name, value in architecture.params.items():
            graph.add_node(name, label=f"{name} = {value}")
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the parameters as JSON, sorted by name."""
        params = sorted(architecture.params.items())
        return f"{{{', '.join(f'{json.dumps(name)}: {text_of(v)}' for name, v in params)}}}"

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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlatSpace):
            return NotImplemented
        return self is other or self._texts == other._texts

    __hash__ = SearchSpace.__hash__

    @cached_property
    def _texts(self) -> dict[str, str]:
        """What tells two spaces apart: the same before and after a way through a storage."""
        return {
            name: text_of(d.choices) if isinstance(d, CategoricalDistribution) else repr(d)
            for name, d in self._distributions.items()
        }

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
