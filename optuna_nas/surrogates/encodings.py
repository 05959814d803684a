"""Encodings: architectures as vectors that a predictor can learn from.

- *path*: which operation sequences lead from an input to the output (White et al. 2021). A path of
  operations `m_0 ... m_{l-1}` out of an alphabet of `b` is the bit `offset_l + sum_i m_i b^i` of
  its block, where `offset_l` counts the shorter sequences. Sizes as published: 364 bits for
  NAS-Bench-101, 155 for NAS-Bench-201, 18,724 for the DARTS space with eight operations.
- *truncated path*: the bits of short paths only.
- *adjacency*: one number for each parameter.
- *one-hot*: one column for each choice of a parameter; numbers keep one column;
- *folded*: what the architecture computes: one-hot without the parts that cannot reach the output,
  beside the paths without `none` and `skip_connect`.

What an architecture is made of, wherever it stands, is in :mod:`optuna_nas.surrogates.structure`;
the default is in :mod:`optuna_nas.surrogates.adaptive`.

Reference: C. White, W. Neiswanger, Y. Savani, *BANANAS: Bayesian Optimization with Neural
Architectures for Neural Architecture Search*, AAAI 2021, arXiv 1910.11858.

*Departures*: truncation keeps short paths of every block. The published code cuts one long vector,
which in a space of two cells drops the second cell altogether.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces.choices import is_plain, place_of
from optuna_nas.spaces.values import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optuna_nas.spaces import Architecture, PathBlock, SearchSpace

_MOST_BITS = 20_000
"""The most bits of a path encoding: more than the 18,724 of DARTS, and no more than a search of
cells of thirteen operations can compute with."""


class Encoding(ABC):
    """Turns architectures of a space into rows of a matrix."""

    @abstractmethod
    def dimension(self, space: SearchSpace) -> int:
        """The number of columns.

        Raises:
            ValueError: The encoding does not fit the space.
        """

    def parts(self, space: SearchSpace) -> dict[str, slice]:
        """The groups of columns that describe an architecture in different ways, by name.

        An encoding of one piece has one part, all of its columns.
        """
        return {type(self).__name__: slice(0, self.dimension(space))}

    def chosen(
        self,
        space: SearchSpace,
        targets: np.ndarray,
        encoded: Callable[[Encoding], np.ndarray],
        *,
        detailed: bool = False,
    ) -> Encoding:
        """The encoding from which a predictor should learn these data; most know no other.

        Args:
            space: The space of the architectures.
            targets: What is to be learnt of `n` architectures.
            encoded: Gives the rows of these architectures, `n x d`, in an encoding.
            detailed: Whether more is wanted than to find the best.
        """
        return self

    @abstractmethod
    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures.

        Args:
            space: The space the architectures belong to.
            architectures: `n` architectures.

        Returns:
            A float32 matrix, `n x d` with `d = dimension(space)`.
        """


class PathEncoding(Encoding):
    """One bit for each operation sequence that leads from an input to the output.

    Args:
        max_length: Only paths of at most so many operations get a bit; None keeps all.
        fold: Whether paths are taken for what they compute: a path through `none` is no path, and
            `skip_connect` is left out of a path.
        otherwise: What encodes in a space without paths; None makes such a space an error.

    Raises:
        ValueError: `max_length` is below 1.
    """

    def __init__(
        self,
        max_length: int | None = None,
        *,
        fold: bool = False,
        otherwise: Encoding | None = None,
    ) -> None:
        if max_length is not None and max_length < 1:
            raise ValueError(f"`max_length` is {max_length}; allowed is None or 1 or more.")
        self.max_length = max_length
        self.fold = fold
        self.otherwise = otherwise

    def blocks(self, space: SearchSpace) -> dict[str, PathBlock]:
        """The path blocks of the space, cut to the paths that get a bit.

        Where these would be more than 20,000, the longest have none; and no path of a block has
        one, if only those of less than half the length could.
        """
        blocks = space.path_blocks
        if not blocks:
            raise ValueError(
                f"{space.name} has no paths; use `encoding='one_hot'` or 'adjacency' for it."
            )
        if self.fold:
            blocks = {name: _folded(block) for name, block in blocks.items()}
        kept = {
            name: block._replace(max_length=self.cutoff(block)) for name, block in blocks.items()
        }
        while sum(block.size for block in kept.values()) > _MOST_BITS:
            name = max(kept, key=lambda name: kept[name].max_length)
            length = kept[name].max_length - 1
            if 2 * length < blocks[name].max_length:
                kept[name] = kept[name]._replace(min_length=1, max_length=0)
            else:
                kept[name] = kept[name]._replace(max_length=length)
        return kept

    def cutoff(self, block: PathBlock) -> int:
        """The most operations of a path of the block that gets a bit."""
        if self.max_length is None:
            return block.max_length
        return min(self.max_length, block.max_length)

    def dimension(self, space: SearchSpace) -> int:
        """The number of operation sequences of all blocks."""
        if self.otherwise is not None and not space.path_blocks:
            return self.otherwise.dimension(space)
        return sum(block.size for block in self.blocks(space).values())

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Set the bit of every path; the matrix is `n x d` and holds zeros and ones."""
        if self.otherwise is not None and not space.path_blocks:
            return self.otherwise.encode(space, architectures)
        places, start = {}, 0
        for name, block in self.blocks(space).items():
            places[name] = _Place(block, start)
            start += block.size
        encoded = np.zeros((len(architectures), start), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            for name, _, operations in space.paths(architecture):
                column = places[name].column(operations)
                if column is not None:
                    encoded[row, column] = 1.0
        return encoded


class _Place:
    """Where the paths of a block stand among the columns."""

    def __init__(self, block: PathBlock, start: int) -> None:
        base = len(block.alphabet)
        self._block = block
        self._digits = {operation: digit for digit, operation in enumerate(block.alphabet)}
        self._powers = [base**position for position in range(block.max_length + 1)]
        self._offsets = [
            start + sum(self._powers[block.min_length : length])
            for length in range(block.max_length + 1)
        ]

    def column(self, operations: tuple[str, ...]) -> int | None:
        """The column of a path, or None if it has no bit."""
        block = self._block
        if block.zero is not None and block.zero not in self._digits and block.zero in operations:
            return None
        if block.identity is not None and block.identity not in self._digits:
            operations = tuple(o for o in operations if o != block.identity)
        if not block.min_length <= len(operations) <= block.max_length:
            return None
        digits = (self._digits[operation] for operation in operations)
        within = (digit * power for digit, power in zip(digits, self._powers, strict=False))
        return int(self._offsets[len(operations)] + sum(within))


def _folded(block: PathBlock) -> PathBlock:
    """The block without the operations that folding removes from its paths."""
    alphabet = tuple(o for o in block.alphabet if o not in (block.zero, block.identity))
    return block._replace(alphabet=alphabet, min_length=0)


class TruncatedPathEncoding(PathEncoding):
    """The path encoding without its long paths.

    Keeps paths of at most half of the longest length, rounded up: 40 of 364 bits in
    NAS-Bench-101 and 30 of 155 in NAS-Bench-201, the published cutoffs.

    Args:
        otherwise: What encodes in a space without paths; None makes such a space an error.
    """

    def __init__(self, *, otherwise: Encoding | None = None) -> None:
        super().__init__(otherwise=otherwise)

    def cutoff(self, block: PathBlock) -> int:
        """Half of the longest length, rounded up."""
        return -(-block.max_length // 2)


class AdjacencyEncoding(Encoding):
    """One column for each parameter: a flag, the rank of a choice, or a number, from 0 to 1."""

    def dimension(self, space: SearchSpace) -> int:
        """The number of parameters."""
        return len(space.distributions)

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`; a parameter that an architecture lacks is 0.5."""
        encoded = np.full((len(architectures), self.dimension(space)), 0.5, dtype=np.float32)
        for column, (name, distribution) in enumerate(space.distributions.items()):
            for row, architecture in enumerate(architectures):
                if name in architecture:
                    encoded[row, column] = _position(architecture[name], distribution)
        return encoded


class OneHotEncoding(Encoding):
    """One column for each choice; a flag or a number has one column.

    A flag is 0 or 1. Two other choices share a column, and a number has one, from -1 to 1. A
    parameter that is absent is all zeros.

    Args:
        simplify: Whether parts that cannot reach the output are left out (see
            :meth:`SearchSpace.simplify`).
    """

    def __init__(self, *, simplify: bool = False) -> None:
        self.simplify = simplify

    def dimension(self, space: SearchSpace) -> int:
        """The number of columns of all parameters together."""
        return sum(_width(d) for d in space.distributions.values())

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        if self.simplify:
            architectures = [space.simplify(architecture) for architecture in architectures]
        settings = [architecture.params for architecture in architectures]
        encoded = np.zeros((len(architectures), self.dimension(space)), dtype=np.float32)
        start = 0
        for name, distribution in space.distributions.items():
            width = _width(distribution)
            if width > 1:
                place = _places(distribution)
                for row, params in enumerate(settings):
                    if name in params:
                        encoded[row, start + place(params[name])] = 1.0
            elif _is_flag(distribution):
                encoded[:, start] = [bool(params.get(name, False)) for params in settings]
            else:
                encoded[:, start] = [
                    2 * _position(params[name], distribution) - 1 if name in params else 0.0
                    for params in settings
                ]
            start += width
        return encoded


class JoinedEncoding(Encoding):
    """Several encodings side by side.

    Args:
        encodings: The encodings, whose columns follow each other.
    """

    def __init__(self, *encodings: Encoding) -> None:
        self.encodings = encodings

    def dimension(self, space: SearchSpace) -> int:
        """The number of columns of all encodings together."""
        return sum(encoding.dimension(space) for encoding in self.encodings)

    def parts(self, space: SearchSpace) -> dict[str, slice]:
        """The parts of all encodings, at their places."""
        parts, start = {}, 0
        for encoding in self.encodings:
            for name, part in encoding.parts(space).items():
                parts[name] = slice(start + part.start, start + part.stop)
            start += encoding.dimension(space)
        return parts

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        return np.hstack([encoding.encode(space, architectures) for encoding in self.encodings])


class FoldedEncoding(Encoding):
    """What an architecture computes: its simplified one-hot columns and its folded paths.

    In a space without paths it is the one-hot encoding.
    """

    def dimension(self, space: SearchSpace) -> int:
        """The number of columns."""
        return self._joined(space).dimension(space)

    def parts(self, space: SearchSpace) -> dict[str, slice]:
        """The one-hot columns and the paths."""
        return self._joined(space).parts(space)

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        return self._joined(space).encode(space, architectures)

    @staticmethod
    def _joined(space: SearchSpace) -> Encoding:
        one_hot = OneHotEncoding(simplify=True)
        return JoinedEncoding(one_hot, PathEncoding(fold=True)) if space.path_blocks else one_hot


def _width(distribution: BaseDistribution) -> int:
    if isinstance(distribution, CategoricalDistribution) and len(distribution.choices) > 2:
        return len(distribution.choices)
    return 1


def _is_flag(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, CategoricalDistribution) and (
        is_plain(distribution) and distribution.choices == (False, True)
    )


def _places(distribution: BaseDistribution) -> Callable[[Any], int]:
    """What tells the place of a choice: for plain ones a table, as there are many to look up."""
    assert isinstance(distribution, CategoricalDistribution)
    if is_plain(distribution):
        return {choice: place for place, choice in enumerate(distribution.choices)}.__getitem__
    return partial(place_of, distribution=distribution)


def _position(value: Any, distribution: BaseDistribution) -> float:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return unit(value, distribution)
    assert isinstance(distribution, CategoricalDistribution)
    return place_of(value, distribution) / max(len(distribution.choices) - 1, 1)
