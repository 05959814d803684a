"""The adjacency encodings of the field, for any space.

- *one-hot* (:class:`~optuna_nas.surrogates.OneHotEncoding`): one column for each choice, 36 for
  NAS-Bench-101 and 30 for NAS-Bench-201;
- *plain* (:class:`~optuna_nas.surrogates.AdjacencyEncoding`): one for each parameter, 26 and 6;
- *categorical*: the edges that exist as a list of their numbers, then the rank of each operation,
  14 and 6;
- *continuous*: the plain columns, and how many edges exist, 27 and 7.

An edge is a parameter that is either there or not: a flag, or a choice that may be `none`.

Reference: C. White, W. Neiswanger, S. Nolen, Y. Savani, *A Study on Encodings for Neural
Architecture Search*, NeurIPS 2020, arXiv 2007.04965.

*Departures*: all numbers are scaled to the range from 0 to 1. The categorical encoding lists the
edges that are left after pruning, so that the list has the length of the space's limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces.folding import ZERO
from optuna_nas.surrogates.encodings import AdjacencyEncoding, Encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution

    from optuna_nas.spaces import Architecture, SearchSpace


class CategoricalAdjacencyEncoding(Encoding):
    """The numbers of the flags that are set, in rising order, then one column per parameter.

    A set flag, number `i` of `f`, is written as `i / f`, counted from 1; the list is filled up
    with zeros. The other parameters stand as in
    :class:`~optuna_nas.surrogates.AdjacencyEncoding`: in a space without flags the two agree.
    """

    def dimension(self, space: SearchSpace) -> int:
        """The length of the list and the number of other parameters."""
        flags = _flags(space)
        return _list_length(space, flags) + len(space.distributions) - len(flags)

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        flags = _flags(space)
        length = _list_length(space, flags)
        listed = np.zeros((len(architectures), length), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            params = space.simplify(architecture).params
            numbers = [i for i, name in enumerate(flags, 1) if params.get(name)]
            listed[row, : len(numbers)] = np.divide(numbers, len(flags))
        others = [i for i, name in enumerate(space.distributions) if name not in flags]
        return np.hstack([listed, AdjacencyEncoding().encode(space, architectures)[:, others]])


class ContinuousAdjacencyEncoding(Encoding):
    """One column per parameter, and the share of edges that exist.

    A space without edges has no such share.
    """

    def dimension(self, space: SearchSpace) -> int:
        """The number of parameters, and one if there are edges."""
        return len(space.distributions) + bool(_edges(space))

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        encoded = AdjacencyEncoding().encode(space, architectures)
        edges = _edges(space)
        if not edges:
            return encoded
        present = [
            sum(name in a and _exists(a[name]) for name in edges) / len(edges)
            for a in architectures
        ]
        return np.column_stack([encoded, np.array(present, dtype=np.float32)])


def _is_flag(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, CategoricalDistribution) and all(
        isinstance(choice, bool) for choice in distribution.choices
    )


def _flags(space: SearchSpace) -> list[str]:
    return [name for name, d in space.distributions.items() if _is_flag(d)]


def _list_length(space: SearchSpace, flags: Sequence[str]) -> int:
    """The most flags that are set at once: all of them, unless the space limits its edges."""
    return min(len(flags), getattr(space, "max_edges", len(flags)))


def _edges(space: SearchSpace) -> list[str]:
    return [
        name
        for name, d in space.distributions.items()
        if _is_flag(d) or (isinstance(d, CategoricalDistribution) and ZERO in d.choices)
    ]


def _exists(value: Any) -> bool:
    return value is not False and value != ZERO
