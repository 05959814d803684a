"""An architecture: one point of a search space, as its trial stores it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import networkx as nx

    from optuna_nas.spaces.base import SearchSpace


class Path(NamedTuple):
    """One way from a cell's input to its output.

    Attributes:
        block: The part of the path encoding the path belongs to (a key of
            :attr:`~optuna_nas.spaces.SearchSpace.path_blocks`).
        route: The nodes walked, input first.
        operations: The operations met on the way, input first. Empty for a direct edge between
            nodes of a space whose operations sit on nodes.
    """

    block: str
    route: tuple[int, ...]
    operations: tuple[str, ...]


class PathBlock(NamedTuple):
    """The paths that may start at one input of one cell.

    Attributes:
        alphabet: The operations a path is spelled with, in the order of their digits.
        min_length: The fewest operations of a path.
        max_length: The most operations of a path.
        zero: The operation that cuts a path, if the space has one.
        identity: The operation that changes nothing, if the space has one.
    """

    alphabet: tuple[str, ...]
    min_length: int
    max_length: int
    zero: str | None = None
    identity: str | None = None

    @property
    def size(self) -> int:
        """How many distinct operation sequences there are."""
        base = len(self.alphabet)
        return sum(base**length for length in range(self.min_length, self.max_length + 1))


class Architecture:
    """An immutable point of a search space.

    Two architectures are equal when they have the same space and the same parameters; they have
    the same :attr:`key` when they compute the same function.

    Args:
        space: The space it belongs to.
        params: The Optuna parameters of its trial. They are taken as valid: build architectures
            with :meth:`SearchSpace.architecture`, which checks them.

    Attributes:
        memo: What its space has worked out about it and may need again.
    """

    def __init__(self, space: SearchSpace, params: Mapping[str, Any]) -> None:
        self._space = space
        self._params = dict(params)
        self.memo: dict[str, Any] = {}

    @property
    def space(self) -> SearchSpace:
        """The space the architecture belongs to."""
        return self._space

    @property
    def params(self) -> dict[str, Any]:
        """A copy of the parameters, exactly as the trial stores them."""
        return dict(self._params)

    def __getitem__(self, name: str) -> Any:
        """The value of one parameter."""
        return self._params[name]

    def __contains__(self, name: str) -> bool:
        """Whether the architecture has the parameter (a conditional one may be absent)."""
        return name in self._params

    @cached_property
    def key(self) -> str:
        """The canonical form: equal exactly for cells that fold to the same function."""
        return self._space.remembered_key(self)

    @cached_property
    def graph(self) -> nx.DiGraph[Any]:
        """The architecture as a networkx graph, for drawing and analysis."""
        return self._space.graph(self)

    @cached_property
    def identity(self) -> tuple[tuple[str, Any], ...]:
        """The parameters as a hashable tuple sorted by name."""
        return self._space.identify(self._params)

    def __str__(self) -> str:
        return self._space.format(self)

    def __repr__(self) -> str:
        return f"<{self._space.name} {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.identity == other.identity and self._space == other._space

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Architectures are looked up often, and a tuple forgets its hash.
        return hash(self.identity)
