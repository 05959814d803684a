"""A space that is its parameters and its graph; the rest follows from these two.

A space of one's own says what its distributions are and draws the graph of an architecture:

1. *random* draws every parameter uniformly; *mutate* gives one of them another value; *neighbors*
   are all architectures with one parameter changed; *crossover* takes each parameter from either
   parent. What :meth:`SearchSpace.validate` refuses is drawn again, or left out.
2. *key* is what the graph computes, up to isomorphism (:mod:`optuna_nas.spaces.folding`).
3. *paths* are the ways through the graph, from which samplers learn (:attr:`path_blocks` says
   what they are spelled with; without it, they learn from the parameters).
4. *format* and *parse* are JSON, for spaces without a notation of their own.

Parameters may come in groups: a mutation chooses a group, then one of its parameters, all with
equal chances, and a crossover takes a group as a whole.

The graph's vocabulary: a node has a `label`; its value is the sum of what arrives, or with
`combine="concat"` the concatenation, brought back to the channels of a node where it is read. An
`operation` stands on an edge or on a node. Nodes with the same attribute `cell` are a graph of
their own; in each, the nodes without predecessors are the inputs, in their order, and a node
without successors is the output. An edge with `strided=True` halves the resolution: there
`skip_connect` has weights.

A space overrides what it can do faster, or in the words of its publication.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces.architecture import Architecture, Path
from optuna_nas.spaces.base import InvalidArchitectureError, SearchSpace
from optuna_nas.spaces.computation import graph_key, graph_paths
from optuna_nas.spaces.folding import WEIGHTLESS
from optuna_nas.spaces.values import adjacent, can_change, draw, perturb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    from optuna.distributions import BaseDistribution

_ATTEMPTS = 10_000
"""Draws in a row that may be invalid before the space is to blame."""


class GraphSpace(SearchSpace):
    """A space that is derived from its distributions and its graphs.

    Args:
        distributions: The Optuna distribution of every parameter.
        groups: Names of parameters that belong together, as lists in the order in which they are
            drawn; None lets each stand for itself.

    Raises:
        ValueError: A parameter is in no group, or in two.
    """

    weightless: Collection[str] = WEIGHTLESS
    """The operations without weights: twice the same on the same value is one function."""

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        *,
        groups: Iterable[Sequence[str]] | None = None,
    ) -> None:
        super().__init__(distributions)
        self._groups = [tuple(g) for g in groups or ([name] for name in distributions)]
        self._drawn = [name for group in self._groups for name in group]
        if sorted(self._drawn) != sorted(distributions):
            raise ValueError(
                f"`groups` has {self._drawn}; allowed is each of {list(distributions)} once."
            )
        changing = {name for name, d in distributions.items() if can_change(d)}
        self._sites = [[n for n in group if n in changing] for group in self._groups]
        self._sites = [site for site in self._sites if site]
        kinds = (distributions[name] for name in self._drawn)
        self._choices = [d.choices for d in kinds if isinstance(d, CategoricalDistribution)]
        self._sizes = [len(choices) for choices in self._choices]
        self._beside: dict[tuple[str, Any], list[Any]] = {}

    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw every parameter uniformly, on the log scale where the distribution is log."""
        for _ in range(_ATTEMPTS):
            if len(self._choices) == len(self._drawn):  # all at once, which is faster
                places = rng.integers(self._sizes).tolist()
                values = [c[place] for c, place in zip(self._choices, places, strict=True)]
            else:
                values = [draw(self._distributions[name], rng) for name in self._drawn]
            found = self._build(dict(zip(self._drawn, values, strict=True)))
            if self.is_valid(found):
                return found
        raise self._barren("random")

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Give one parameter another value: a group is chosen, then one of its parameters."""
        params = architecture.params
        for _ in range(_ATTEMPTS):
            site = self._sites[rng.integers(len(self._sites))]
            name = site[rng.integers(len(site))]
            found = self._build({**params, name: self._moved(name, params[name], rng)})
            if self.is_valid(found):
                return found
        raise self._barren("mutate")

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all valid architectures with one parameter changed, a number by one step."""
        params = architecture.params
        found = (
            self._build({**params, name: value})
            for site in self._sites
            for name in site
            for value in self._others(name, params[name])
        )
        return [neighbor for neighbor in found if self.is_valid(neighbor)]

    def crossover(
        self, first: Architecture, second: Architecture, rng: np.random.Generator
    ) -> Architecture:
        """Return a child that has each group of parameters from one of its parents.

        Args:
            first: A parent, of this space.
            second: The other parent, of this space.
            rng: The source of randomness.

        Returns:
            A valid child; the first parent where no mixture of the two is valid.
        """
        ours, theirs = first.params, second.params
        for _ in range(_ATTEMPTS):
            taken = rng.random(len(self._groups)) < 0.5
            names = [n for g, take in zip(self._groups, taken, strict=True) if take for n in g]
            child = self._build(ours | {name: theirs[name] for name in names})
            if self.is_valid(child):
                return child
        return first

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether a network can be built."""
        try:
            self.validate(architecture)
        except InvalidArchitectureError:
            return False
        return True

    def key(self, architecture: Architecture) -> str:
        """Return what the graph computes, cell by cell."""
        return graph_key(architecture.graph, self.weightless)

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return every path from an input of a cell to its output, by the node it ends at."""
        return graph_paths(architecture.graph) if self.path_blocks else []

    def format(self, architecture: Architecture) -> str:
        """Write the parameters as JSON."""
        return json.dumps(architecture.params)

    def parse(self, text: str) -> Architecture:
        """Read the parameters from JSON.

        Raises:
            ValueError: The text is not a JSON object with a value for every parameter.
        """
        try:
            params = json.loads(text)
        except ValueError:
            params = None
        if not isinstance(params, dict) or params.keys() != self._distributions.keys():
            raise ValueError(
                f"`text` is {text!r}; needed is a JSON object with values of "
                f"{list(self._distributions)}."
            )
        return self.architecture(params)

    def to_dict(self) -> dict[str, Any]:
        """Describe a space whose class has no arguments."""
        return {"space": self.name}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> SearchSpace:
        """Build the space from what :meth:`to_dict` says its arguments are."""
        arguments = {name: value for name, value in description.items() if name != "space"}
        return cls(**arguments)

    def _others(self, name: str, value: Any) -> list[Any]:
        """The values next to one, all others of a choice; looked up often, so remembered."""
        distribution = self._distributions[name]
        if not isinstance(distribution, CategoricalDistribution):
            return adjacent(value, distribution)
        if (name, value) not in self._beside:
            self._beside[name, value] = adjacent(value, distribution)
        return self._beside[name, value]

    def _moved(self, name: str, value: Any, rng: np.random.Generator) -> Any:
        if isinstance(self._distributions[name], CategoricalDistribution):
            others = self._others(name, value)
            return others[rng.integers(len(others))]
        return perturb(value, self._distributions[name], rng)

    def _build(self, params: Mapping[str, Any]) -> Architecture:
        """The architecture of valid values, its parameters in the order of the distributions."""
        return Architecture(self, {name: params[name] for name in self._distributions})

    def _barren(self, method: str) -> ValueError:
        return ValueError(
            f"{self.name} found nothing valid in {_ATTEMPTS} draws of `{method}`; override it."
        )
