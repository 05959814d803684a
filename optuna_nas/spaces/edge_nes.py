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
from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.base import SearchSpace
from optuna_nas.spaces.cell import checked_operations
from optuna_nas.spaces.darts import DARTS_OPERATIONS, Gene
from optuna_nas.spaces.folding import WEIGHTLESS, ZERO, Folding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

EDGE_NES_OPERATIONS = tuple(name for name in DARTS_OPERATIONS if name != ZERO)
"""The seven operations of the method: those of DARTS without `none`."""

_INPUTS = 2
_MOST_NODES = 100


class EdgeNESSpace(SearchSpace):
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
        super().__init__(distributions)

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
        return self.architecture(self._params(genes))

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block for each input: 1 to `num_nodes` operations."""
        # A skip from an input of a cell that halves the resolution has weights: no identity.
        block = PathBlock(self.operations, 1, self.num_nodes, ZERO, None)
        return {f"input_{index}": block for index in range(_INPUTS)}

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return the path that ends at each node: all nodes are concatenated."""
        arriving: list[tuple[tuple[int, ...], tuple[str, ...]]] = [((0,), ()), ((1,), ())]
        for node, (operation, source) in zip(self.nodes, self.genes(architecture), strict=True):
            route, operations = arriving[source]
            arriving.append(((*route, node), (*operations, operation)))
        return [
            Path(f"input_{route[0]}", route, operations)
            for route, operations in arriving[_INPUTS:]
        ]

    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw every parameter uniformly."""
        genes = []
        for node in self.nodes:
            operation = self.operations[rng.integers(len(self.operations))]
            genes.append((operation, int(rng.integers(node))))
        return self._build(genes)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Change the operation or the input of one node, all chosen uniformly."""
        genes = list(self.genes(architecture))
        place = int(rng.integers(self.num_nodes))
        others = self._others(place, genes[place])[int(rng.integers(2))]
        genes[place] = others[rng.integers(len(others))]
        return self._build(genes)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all architectures with one operation or one input changed."""
        genes = self.genes(architecture)
        return [
            self._build([*genes[:place], other, *genes[place + 1 :]])
            for place, gene in enumerate(genes)
            for others in self._others(place, gene)
            for other in others
        ]

    def key(self, architecture: Architecture) -> str:
        """Return the canonical form of the cell where it halves the resolution.

        There a `skip_connect` from an input has weights of its own and does not fold. Cells that
        agree there agree everywhere, and every network has such a cell.
        """
        folding = Folding(["@0", "@1"], WEIGHTLESS)
        values = [folding.input(0), folding.input(1)]
        for operation, source in self.genes(architecture):
            values.append(
                folding.apply(operation, values[source], identity=source not in range(_INPUTS))
            )
        return folding.canonical(values[_INPUTS:])

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the nodes by number, both inputs included, with operations on the edges."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        output = self.nodes[-1] + 1
        labels = ["c_{k-2}", "c_{k-1}", *map(str, self.nodes), "output"]
        for node, label in enumerate(labels):
            graph.add_node(node, label=label)
        for node, (operation, source) in zip(self.nodes, self.genes(architecture), strict=True):
            graph.add_edge(source, node, operation=operation)
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

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> SearchSpace:
        """Build the space that :meth:`to_dict` described."""
        return cls(description["operations"], description["num_nodes"])

    def _others(self, place: int, gene: Gene) -> tuple[list[Gene], list[Gene]]:
        """The genes of a node with another operation, and those with another input."""
        operation, source = gene
        return (
            [(other, source) for other in self.operations if other != operation],
            [(operation, other) for other in range(self.nodes[place]) if other != source],
        )

    def _build(self, genes: Sequence[Gene]) -> Architecture:
        return Architecture(self, self._params(genes))

    def _params(self, genes: Sequence[Gene]) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for node, (operation, source) in zip(self.nodes, genes, strict=True):
            params[f"node_{node}_input"] = source
            params[f"node_{node}_op"] = operation
        return params
