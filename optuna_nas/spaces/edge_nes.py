"""The cell space of EdgeNES: one cell of two inputs whose nodes read one earlier node each.

The inputs 0 and 1 of the cell are the outputs of the two cells before it; every further node is
one operation applied to one earlier node; all of them are concatenated. An architecture so has as
many edges as nodes, which makes "how many edges two architectures share" a simple number.

References: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120; the cell is
that of H. Liu, K. Simonyan, Y. Yang, *DARTS: Differentiable Architecture Search*, ICLR 2019,
arXiv 1806.09055, without `none` and with one input to a node.

*Departures*: the number of nodes is free. A network may also have cells that keep the resolution;
they are the same cell as those that halve it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, PathBlock
from optuna_nas.spaces.cell import checked_operations
from optuna_nas.spaces.computation import CONCATENATE
from optuna_nas.spaces.darts import DARTS_OPERATIONS
from optuna_nas.spaces.folding import ZERO
from optuna_nas.spaces.genotype import Gene
from optuna_nas.spaces.graph import GraphSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGE_NES_OPERATIONS = tuple(name for name in DARTS_OPERATIONS if name != ZERO)
"""The seven operations of the method: those of DARTS without `none`."""

_INPUTS = 2
_MOST_NODES = 100


class EdgeNESSpace(GraphSpace):
    """All cells of nodes with one operation on one earlier node each.

    Args:
        operations: The operations a cell may use, by default the seven of the method. One of your
            own is a name here and a module registered under it with
            :func:`optuna_nas.networks.register_operation`.
        num_nodes: The number of nodes besides the two inputs, up to 100; with the default of four
            there are 288,120 cells.

    Attributes:
        nodes: The numbers of the nodes, from 2 on.

    Raises:
        ValueError: There are fewer than two operations, a name is repeated or malformed, or there
            is no node.
    """

    def __init__(
        self, operations: Sequence[str] = EDGE_NES_OPERATIONS, num_nodes: int = 4
    ) -> None:
        self.operations = checked_operations(operations)
        self.num_nodes = checked_integer("num_nodes", num_nodes, 1, _MOST_NODES)
        self.nodes = tuple(range(_INPUTS, _INPUTS + self.num_nodes))
        distributions = {}
        for node in self.nodes:
            distributions[f"node_{node}_input"] = CategoricalDistribution(tuple(range(node)))
            distributions[f"node_{node}_op"] = CategoricalDistribution(self.operations)
        groups = [(f"node_{node}_op", f"node_{node}_input") for node in self.nodes]
        super().__init__(distributions, groups=groups)

    def genes(self, architecture: Architecture) -> tuple[Gene, ...]:
        """The operation and the input of each node, in order."""
        return tuple(
            (architecture[f"node_{node}_op"], architecture[f"node_{node}_input"])
            for node in self.nodes
        )

    def from_genes(self, genes: Sequence[Gene]) -> Architecture:
        """Build the architecture with these operations and inputs, one pair for each node.

        Raises:
            ValueError: There is another number of pairs, or a pair is not one of this space.
        """
        if len(genes) != self.num_nodes:
            raise ValueError(
                f"`genes` is {genes!r}; {self.name} needs {self.num_nodes} pairs of an operation "
                "and an input."
            )
        params: dict[str, Any] = {}
        for node, (operation, source) in zip(self.nodes, genes, strict=True):
            params[f"node_{node}_input"], params[f"node_{node}_op"] = source, operation
        return self.architecture(params)

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block for each input: 1 to `num_nodes` operations."""
        # A skip from an input of a cell that halves the resolution has weights: no identity.
        block = PathBlock(self.operations, 1, self.num_nodes, ZERO, None)
        return {f"input_{index}": block for index in range(_INPUTS)}

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the nodes by number, both inputs included, with operations on the edges.

        It is the cell where it halves the resolution. There a `skip_connect` from an input has
        weights of its own and does not fold. Cells that agree there agree everywhere, and every
        network has such a cell.
        """
        graph: nx.DiGraph[Any] = nx.DiGraph()
        output = self.nodes[-1] + 1
        labels = ["c_{k-2}", "c_{k-1}", *map(str, self.nodes), "output"]
        for node, label in enumerate(labels):
            graph.add_node(node, label=label)
        graph.nodes[output]["combine"] = CONCATENATE
        for node, (operation, source) in zip(self.nodes, self.genes(architecture), strict=True):
            strided = {"strided": True} if source < _INPUTS else {}
            graph.add_edge(source, node, operation=operation, **strided)
            graph.add_edge(node, output)
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write `|op~input|+|op~input|+...`, node by node, as NAS-Bench-201 writes its edges."""
        return "+".join(f"|{name}~{source}|" for name, source in self.genes(architecture))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another shape, names an unknown operation, or a node reads
                one that does not come before it.
        """
        groups = [
            re.fullmatch(r"\|([^|~+]+)~(\d{1,9})\|", group) for group in text.strip().split("+")
        ]
        genes = [(group[1], int(group[2])) for group in groups if group is not None]
        if len(genes) != len(groups) or len(genes) != self.num_nodes:
            raise ValueError(
                f"`text` is {text!r}; {self.name} needs {self.num_nodes} groups such as "
                f"|{self.operations[0]}~0|+|{self.operations[1]}~2|."
            )
        return self.from_genes(genes)

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "operations": list(self.operations),
            "num_nodes": self.num_nodes,
        }
