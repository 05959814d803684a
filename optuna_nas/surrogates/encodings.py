"""Encodings: architectures as vectors that a predictor can learn from.

- *path*: which operation sequences lead from an input to the output (White et al. 2021). A path of
  operations `m_0 ... m_{l-1}` out of an alphabet of `b` is the bit `offset_l + sum_i m_i b^i` of
  its block, where `offset_l` counts the shorter sequences. Sizes as published: 364 bits for
  NAS-Bench-101, 155 for NAS-Bench-201, 18,724 for the DARTS space with eight operations.
- *truncated path*: the bits of short paths only.
- *adjacency*: one number for each parameter.
- *one-hot*: one column for each choice of a parameter; numbers keep one column.

Reference: C. White, W. Neiswanger, Y. Savani, *BANANAS: Bayesian Optimization with Neural
Architectures for Neural Architecture Search*, AAAI 2021, arXiv 1910.11858.

*Departures*: truncation keeps short paths of every block. The published code cuts one long vector,
which in a space of two cells drops the second cell altogether.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces.flat import unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna_nas.spaces import Architecture, PathBlock, SearchSpace


class Encoding(ABC):
    """Turns architectures of a space into rows of a matrix."""

    @abstractmethod
    def dimension(self, space: SearchSpace) -> int:
        """The number of columns.

        Raises:
            ValueError: The encoding does not fit the space.
        """

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

    Raises:
        ValueError: `max_length` is below 1.
    """

    def __init__(self, max_length: int | None = None) -> None:
        if max_length is not None and max_length < 1:
            raise ValueError(f"`max_length` is {max_length}; allowed is None or 1 or more.")
        self.max_length = max_length

    def blocks(self, space: SearchSpace) -> dict[str, PathBlock]:
        """The path blocks of the space, cut to the paths that get a bit."""
        blocks = space.path_blocks
        if not blocks:
            raise ValueError(
                f"{space.name} has no paths; use `encoding='one_hot'` or 'adjacency' for it."
            )
        return {
            name: block._replace(max_length=self.cutoff(block)) for name, block in blocks.items()
        }

    def cutoff(self, block: PathBlock) -> int:
        """The most operations of a path of the block that gets a bit."""
        if self.max_length is None:
            return block.max_length
        return min(self.max_length, block.max_length)

    def dimension(self, space: SearchSpace) -> int:
        """The number of operation sequences of all blocks."""
        return sum(block.size for block in self.blocks(space).values())

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Set the bit of every path; the matrix is `n x d` and holds zeros and ones."""
        starts, total = {}, 0
        blocks = self.blocks(space)
        for name, block in blocks.items():
            starts[name] = total
            total += block.size
        digits = {
            name: {operation: digit for digit, operation in enumerate(block.alphabet)}
            for name, block in blocks.items()
        }
        encoded = np.zeros((len(architectures), total), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            for name, _, operations in space.paths(architecture):
                block = blocks[name]
                if len(operations) > block.max_length:
                    continue
                index, base = starts[name], len(block.alphabet)
                for position, operation in enumerate(operations):
                    index += digits[name][operation] * base**position
                index += sum(base**k for k in range(block.min_length, len(operations)))
                encoded[row, index] = 1.0
        return encoded


class TruncatedPathEncoding(PathEncoding):
    """The path encoding without its long paths.

    Keeps paths of at most half of the longest length, rounded up: 40 of 364 bits in
    NAS-Bench-101 and 30 of 155 in NAS-Bench-201, the published cutoffs.
    """

    def __init__(self) -> None:
        super().__init__(None)

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
    """One column for each choice; two choices share a column, and so does a number.

    Shared columns run from -1 to 1, so that 0 means that the parameter is absent.
    """

    def dimension(self, space: SearchSpace) -> int:
        """The number of columns of all parameters together."""
        return sum(_width(d) for d in space.distributions.values())

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        encoded = np.zeros((len(architectures), self.dimension(space)), dtype=np.float32)
        start = 0
        for name, distribution in space.distributions.items():
            width = _width(distribution)
            for row, architecture in enumerate(architectures):
                if name not in architecture:
                    continue
                if width == 1:
                    encoded[row, start] = 2 * _position(architecture[name], distribution) - 1
                else:
                    choice = distribution.to_internal_repr(architecture[name])
                    encoded[row, start + int(choice)] = 1.0
            start += width
        return encoded


def _width(distribution: BaseDistribution) -> int:
    if isinstance(distribution, CategoricalDistribution) and len(distribution.choices) > 2:
        return len(distribution.choices)
    return 1


def _position(value: Any, distribution: BaseDistribution) -> float:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return unit(value, distribution)
    assert isinstance(distribution, CategoricalDistribution)
    return distribution.to_internal_repr(value) / max(len(distribution.choices) - 1, 1)
