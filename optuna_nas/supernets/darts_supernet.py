"""The supernet of DARTS: a row of normal cells and two reduction cells (see `pair_supernet`).

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.
"""

from __future__ import annotations

from optuna_nas.spaces import Architecture, DARTSSpace, Genotype, SearchSpace
from optuna_nas.spaces.folding import ZERO
from optuna_nas.supernets.derivation import strongest_pairs
from optuna_nas.supernets.pair_supernet import PairSupernet
from optuna_nas.supernets.supernet import SupernetSize, Weights, register_supernet

_CONCAT = (2, 3, 4, 5)
_KINDS = ("normal", "reduce")


@register_supernet(DARTSSpace, channels=16, cells=8)
class DARTSSupernet(PairSupernet):
    """All pairs of a normal and a reduction cell in one network.

    Args:
        space: The space.
        size: `channels` of a node before the first reduction, `cells` in all.

    Attributes:
        edges: The 14 edges of the cells `"normal"` and `"reduce"`.
        operations: The operations of the space.
        never_derived: `none`.
    """

    never_derived = frozenset({ZERO})
    space: DARTSSpace

    def __init__(self, space: SearchSpace, size: SupernetSize) -> None:
        assert isinstance(space, DARTSSpace)
        super().__init__(
            space,
            size,
            operations=space.operations,
            nodes=len(_CONCAT),
            kinds=_KINDS,
        )

    def derive(self, weights: Weights) -> Architecture:
        """Keep the two strongest inputs of each node, each with its strongest operation.

        The strength of an edge is that of its strongest operation other than `none`.

        Raises:
            ValueError: The supernet has no cell of one kind.
        """
        if len(self.edges) < 2:
            raise ValueError(
                f"`cells` is {len(self.cells)}, which leaves only {list(self.edges)} cells to "
                "search; allowed is 3 or more."
            )
        normal, reduce = (
            strongest_pairs(weights[kind], self.edges[kind], self.operations) for kind in _KINDS
        )
        return self.space.from_genotype(Genotype(normal, _CONCAT, reduce, _CONCAT))
