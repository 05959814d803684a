"""The supernet of EdgeNES: a row of one cell, of which each node keeps one input.

The weights of a node's edges, the *switch* of the method, are a factor of the weights of the
operations on them. One or two cells, as published, all halve the resolution (see
`pair_supernet`).

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.
"""

from __future__ import annotations

from optuna_nas.spaces import Architecture, EdgeNESSpace, SearchSpace
from optuna_nas.supernets.derivation import strongest_inputs
from optuna_nas.supernets.pair_supernet import PairSupernet
from optuna_nas.supernets.supernet import SupernetSize, Weights, register_supernet

_KIND = "cell"


@register_supernet(EdgeNESSpace, channels=10, cells=1)
class EdgeNESSupernet(PairSupernet):
    """All cells of the space in one network.

    Args:
        space: The space.
        size: `channels` of a node before the first reduction, `cells` in all.

    Attributes:
        edges: The edges of the cell, under the name `"cell"`.
        operations: The operations of the space.
    """

    space: EdgeNESSpace

    def __init__(self, space: SearchSpace, size: SupernetSize) -> None:
        assert isinstance(space, EdgeNESSpace)
        super().__init__(
            space,
            size,
            operations=space.operations,
            nodes=space.num_nodes,
            kinds=(_KIND, _KIND),
        )

    def derive(self, weights: Weights) -> Architecture:
        """Keep the strongest input of each node, with the strongest operation on it.

        The strength of an edge is the sum of the weights of its operations: the weight of the
        edge itself, as those of its operations add up to one.
        """
        genes = strongest_inputs(weights[_KIND], self.edges[_KIND], self.operations)
        return self.space.from_genes(genes)
