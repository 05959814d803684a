"""How often each operation occurs in an architecture: the coarsest description, and a strong one.

With a few dozen observations a predictor ranks better when it is told the counts beside the rest
(docs/bananas.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_nas.surrogates.encodings import Encoding, FoldedEncoding, JoinedEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna_nas.spaces import Architecture, SearchSpace


class OperationCountEncoding(Encoding):
    """One column for each operation of each cell: how often it occurs.

    `none` is no operation, and what :meth:`SearchSpace.simplify` leaves out does not count.
    """

    def dimension(self, space: SearchSpace) -> int:
        """The number of operations times the number of cells."""
        return len(self._columns(space))

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        columns = self._columns(space)
        names = operation_parameters(space)
        encoded = np.zeros((len(architectures), len(columns)), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            simple = space.simplify(architecture)
            for name, cell in names.items():
                column = columns.get((cell, simple[name])) if name in simple else None
                if column is not None:
                    encoded[row, column] += 1
        return encoded

    @staticmethod
    def _columns(space: SearchSpace) -> dict[tuple[str, str], int]:
        operations = operations_of(space)
        if not operations:
            raise ValueError(
                f"{space.name} has no operations to count; use `encoding='one_hot'` for it."
            )
        cells = dict.fromkeys(operation_parameters(space).values())
        pairs = ((cell, operation) for cell in cells for operation in operations)
        return {pair: column for column, pair in enumerate(pairs)}


class FlagCountEncoding(Encoding):
    """One column: the share of the flags that are set, such as of the layers that are kept."""

    def dimension(self, space: SearchSpace) -> int:
        """One, for a space of flags."""
        if not only_flags(space):
            raise ValueError(f"{space.name} has other parameters than flags.")
        return 1

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x 1`."""
        number = len(space.distributions)
        rows = [sum(space.simplify(a).params.values()) / number for a in architectures]
        return np.array(rows, dtype=np.float32).reshape(-1, 1)


class FoldedCountsEncoding(Encoding):
    """The folded encoding and the counts of the operations, or that of the flags."""

    def dimension(self, space: SearchSpace) -> int:
        """The number of columns."""
        return self._joined(space).dimension(space)

    def parts(self, space: SearchSpace) -> dict[str, slice]:
        """The parts of the folded encoding and the counts; a single one without operations."""
        return self._joined(space).parts(space) if operations_of(space) else super().parts(space)

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        return self._joined(space).encode(space, architectures)

    @staticmethod
    def _joined(space: SearchSpace) -> Encoding:
        if operations_of(space):
            return JoinedEncoding(FoldedEncoding(), OperationCountEncoding())
        if only_flags(space):
            return JoinedEncoding(FoldedEncoding(), FlagCountEncoding())
        return FoldedEncoding()


def only_flags(space: SearchSpace) -> bool:
    """Whether every parameter is either False or True."""
    return all(
        isinstance(d, CategoricalDistribution) and d.choices == (False, True)
        for d in space.distributions.values()
    )


def operations_of(space: SearchSpace) -> tuple[str, ...]:
    """The operations of a space without `none`; empty for a space without structure."""
    blocks = space.path_blocks.values()
    zeros = {block.zero for block in blocks}
    operations = dict.fromkeys(operation for block in blocks for operation in block.alphabet)
    return tuple(operation for operation in operations if operation not in zeros)


def operation_parameters(space: SearchSpace) -> dict[str, str]:
    """The parameters that choose an operation, each with its cell.

    The cell is what stands before the first slash of the name; empty if there is none.
    """
    alphabet = [o for block in space.path_blocks.values() for o in block.alphabet]
    return {
        name: name.partition("/")[0] if "/" in name else ""
        for name, d in space.distributions.items()
        if isinstance(d, CategoricalDistribution) and all(c in alphabet for c in d.choices)
    }
