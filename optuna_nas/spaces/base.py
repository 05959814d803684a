"""The interface of a search space: what can be searched, written as Optuna parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas import _optuna
from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.choices import place_of
from optuna_nas.spaces.registry import SPACES
from optuna_nas.spaces.study import remember_space

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    from optuna.distributions import BaseDistribution

INVALID_REASON = "optuna_nas:invalid"
"""Trial user attribute that says why a proposed architecture cannot be built."""


_REMEMBERED_KEYS = 20_000
"""Keys that a space remembers: all of NAS-Bench-201, a few megabytes."""


class InvalidArchitectureError(ValueError):
    """The parameters are in range, but no network can be built from them."""


class SearchSpace(ABC):
    """A set of architectures.

    Subclasses say how parameters, graphs and texts correspond; samplers and objectives need
    nothing else. A space is immutable and is described completely by :meth:`to_dict`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        SPACES[cls.__name__] = cls

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._distributions = dict(distributions)
        self._keys: dict[Architecture, str] = {}

    @property
    def name(self) -> str:
        """The name of the space, as stored on the study."""
        return type(self).__name__

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The Optuna distribution of every parameter, in the order they are suggested."""
        return dict(self._distributions)

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """The blocks of the path encoding; empty for a space without paths."""
        return {}

    @property
    def num_operations(self) -> int | None:
        """The most operations in a graph; None if each is chosen by a parameter of its own."""
        return None

    @property
    def size(self) -> int | None:
        """How many parameter settings there are; None when a parameter is continuous."""
        sizes = [_distribution_size(d) for d in self._distributions.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def suggest(self, trial: optuna.trial.BaseTrial) -> Architecture:
        """Let a trial choose an architecture.

        The first call in a study stores the space's description there, so that samplers of any
        process find it.

        Args:
            trial: The trial to draw the parameters from.

        Returns:
            The architecture of the trial.

        Raises:
            optuna.TrialPruned: A sampler that does not know the space proposed parameters from
                which no network can be built. The reason is kept as a user attribute.
            ValueError: The study already searches another space.
        """
        remember_space(trial, self)
        params: dict[str, Any] = {}
        for name, distribution in self._distributions.items():
            if self.is_active(name, params):
                params[name] = suggest_parameter(trial, name, distribution)
        try:
            return self.architecture(params)
        except InvalidArchitectureError as error:
            trial.set_user_attr(INVALID_REASON, str(error))
            raise optuna.TrialPruned(f"Not an architecture of {self.name}: {error}") from error

    def architecture(self, params: Mapping[str, Any]) -> Architecture:
        """Build the architecture with the given parameters.

        Args:
            params: A value for every active parameter; entries of other names are left out, so
                that `study.best_params` of a study with more parameters can be passed as it is.

        Raises:
            ValueError: A parameter is missing or outside of its distribution.
            InvalidArchitectureError: No network can be built from the parameters.
        """
        chosen: dict[str, Any] = {}
        for name, distribution in self._distributions.items():
            if not self.is_active(name, chosen):
                continue
            if name not in params:
                raise ValueError(
                    f"`params` lacks {name!r}; {self.name} needs {list(self._distributions)}."
                )
            chosen[name] = _checked(name, params[name], distribution)
        architecture = Architecture(self, chosen)
        self.validate(architecture)
        return architecture

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether an architecture has a parameter; a conditional one may be absent.

        Args:
            name: The parameter.
            params: The values of those before it.
        """
        return True

    def read(self, params: Mapping[str, Any]) -> Architecture | None:
        """Build the architecture of a recorded trial, or None if the trial has none."""
        try:
            return self.architecture(params)
        except ValueError:
            return None

    def validate(self, architecture: Architecture) -> None:  # noqa: B027 (most spaces: all valid)
        """Raise `InvalidArchitectureError` if no network can be built from the parameters."""

    @abstractmethod
    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw a random valid architecture."""

    @abstractmethod
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a slightly changed copy, never equal to the architecture itself."""

    @abstractmethod
    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all valid architectures that differ in one elementary change."""

    @abstractmethod
    def key(self, architecture: Architecture) -> str:
        """Return the canonical form of an architecture (see :attr:`Architecture.key`)."""

    @abstractmethod
    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the architecture as a directed graph.

        Nodes have the attribute `label`; an operation stands in the attribute `operation` of the
        edge or of the node, wherever the space has them. :mod:`optuna_nas.spaces.graph` has the
        other attributes.
        """

    @abstractmethod
    def format(self, architecture: Architecture) -> str:
        """Write an architecture in the notation of the field."""

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text is not an architecture of this space.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Describe the space completely in JSON types, its class under `"space"`."""

    @classmethod
    @abstractmethod
    def from_dict(cls, description: Mapping[str, Any]) -> SearchSpace:
        """Build the space that :meth:`to_dict` described."""

    def identify(self, params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """Return parameters as a hashable tuple sorted by name, equal for equal settings."""
        return tuple(sorted(params.items()))

    def simplify(self, architecture: Architecture) -> Architecture:
        """Return the architecture without the parts that cannot reach the output.

        The result may lack parameters; it is meant for encodings. By default nothing is left out.
        """
        return architecture

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return every path from an input to the output; none for a space without paths."""
        return []

    def remembered_key(self, architecture: Architecture) -> str:
        """Return :meth:`key`, from memory if it was asked for lately."""
        key = self._keys.get(architecture)
        if key is None:
            if len(self._keys) >= _REMEMBERED_KEYS:
                self._keys.clear()
            key = self._keys[architecture] = self.key(architecture)
        return key

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_keys": {}}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self._distributions)))

    def __repr__(self) -> str:
        arguments = (f"{k}={v!r}" for k, v in self.to_dict().items() if k != "space")
        return f"{self.name}({', '.join(arguments)})"


def suggest_parameter(
    trial: optuna.trial.BaseTrial, name: str, distribution: BaseDistribution
) -> Any:
    """Let a trial choose a value from any distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, FloatDistribution):
        low, high = distribution.low, distribution.high
        return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name,
            distribution.low,
            distribution.high,
            step=distribution.step,
            log=distribution.log,
        )
    raise TypeError(
        f"Parameter {name!r} has a distribution of type {type(distribution).__name__}; allowed "
        "are CategoricalDistribution, FloatDistribution and IntDistribution."
    )


def _checked(name: str, value: Any, distribution: BaseDistribution) -> Any:
    try:
        if isinstance(distribution, CategoricalDistribution):
            return distribution.choices[place_of(value, distribution)]
        if isinstance(distribution, IntDistribution) and type(value) is int:
            steps, rest = divmod(value - distribution.low, distribution.step)
            if rest == 0 and steps >= 0 and value <= distribution.high:
                return value  # exactly, where double precision would round
        internal = distribution.to_internal_repr(value)
        contained = _optuna.contains(distribution, internal)
    except (OverflowError, TypeError, ValueError):
        contained = False
    if not contained:
        raise ValueError(f"`params[{name!r}]` is {value!r}; allowed is {distribution}.")
    return distribution.to_external_repr(internal)


def _distribution_size(distribution: BaseDistribution) -> int | None:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    if isinstance(distribution, FloatDistribution):
        if distribution.single():
            return 1
        steps = (distribution.high - distribution.low) / (distribution.step or math.nan)
        return round(steps) + 1 if math.isfinite(steps) else None
    return None
