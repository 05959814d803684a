"""The cell space of NASNet: a normal and a reduction cell of blocks, with AmoebaNet's in it.

The hidden states 0 and 1 of a cell are the outputs of the two cells before it. Each block chooses
two of the hidden states before it, which may be the same one, an operation for each, and whether
the two results are added or concatenated; its result is a new hidden state. Those that no block
reads are concatenated.

References: B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le, *Learning Transferable Architectures for
Scalable Image Recognition*, CVPR 2018, arXiv 1707.07012; E. Real, A. Aggarwal, Y. Huang, Q. V. Le,
*Regularized Evolution for Image Classifier Architecture Search*, AAAI 2019, arXiv 1802.01548.

*Departures*: a mutation changes an operation or an input, as that of AmoebaNet, or the way in
which two results are combined; it always changes something.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, PathBlock
from optuna_nas.spaces.cell import checked_operations
from optuna_nas.spaces.computation import CONCATENATE
from optuna_nas.spaces.folding import IDENTITY, ZERO
from optuna_nas.spaces.genotype import CELLS, Gene, Genotype, check_genes, read_genotype
from optuna_nas.spaces.graph import GraphSpace

NASNET_OPERATIONS = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
COMBINATIONS = ("add", "concat")

_MOST_BLOCKS = 20

NASNET_A = (
    "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), "
    "('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), "
    "('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1)], "
    "normal_concat=[2, 3, 4, 5, 6], reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), "
    "('max_pool_3x3', 1), ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), "
    "('skip_connect', 3), ('avg_pool_3x3', 2), ('sep_conv_3x3', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[4, 5, 6])"
)
"""The best architecture that NASNet's search found, as DARTS writes it."""

AMOEBANET_A = (
    "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), "
    "('skip_connect', 1), ('skip_connect', 0), ('avg_pool_3x3', 1)], normal_concat=[4, 5, 6], "
    "reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), "
    "('sep_conv_7x7', 2), ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)], reduce_concat=[3, 4, 6])"
)
"""The architecture that regularised evolution found in the same space, as DARTS writes it."""


class Block(NamedTuple):
    """A block of a cell.

    Attributes:
        genes: Its two operations, each with the hidden state it is applied to.
        combine: `"add"` or `"concat"`.
    """

    genes: tuple[Gene, Gene]
    combine: str


class NASNetSpace(GraphSpace):
    """All pairs of a normal and a reduction cell of `blocks` blocks.

    Args:
        operations: The operations a block may use, by default the thirteen of the paper. One of
            your own is a name here and a module registered under it with
            :func:`optuna_nas.networks.register_operation`.
        blocks: The blocks of a cell, up to 20.
        combinations: How two results may be combined: of `"add"` and `"concat"` one or both.

    Attributes:
        nodes: The numbers of the blocks' hidden states, from 2 on.

    Raises:
        ValueError: There are fewer than two operations, a name is repeated or malformed, there is
            no block, or a combination is unknown.
    """

    def __init__(
        self,
        operations: Sequence[str] = NASNET_OPERATIONS,
        blocks: int = 5,
        combinations: Sequence[str] = COMBINATIONS,
    ) -> None:
        self.operations = checked_operations(operations)
        self.blocks = checked_integer("blocks", blocks, 1, _MOST_BLOCKS)
        self.combinations = tuple(combinations)
        if not set(self.combinations) <= set(COMBINATIONS) or len(set(combinations)) != len(
            self.combinations or "?"
        ):
            raise ValueError(
                f"`combinations` is {combinations!r}; allowed are one or both of "
                f"{list(COMBINATIONS)}."
            )
        self.nodes = tuple(range(2, 2 + self.blocks))
        distributions: dict[str, CategoricalDistribution] = {}
        groups: list[tuple[str, ...]] = []
        for cell in CELLS:
            for node in self.nodes:
                prefix = f"{cell}/node_{node}"
                for slot in (0, 1):
                    names = f"{prefix}/input_{slot}", f"{prefix}/op_{slot}"
                    distributions[names[0]] = CategoricalDistribution(tuple(range(node)))
                    distributions[names[1]] = CategoricalDistribution(self.operations)
                    groups.append(names)
                if len(self.combinations) > 1:
                    name = f"{prefix}/combine"
                    distributions[name] = CategoricalDistribution(self.combinations)
                    groups.append((name,))
        super().__init__(distributions, groups=groups)

    def cell(self, architecture: Architecture, cell: str) -> list[Block]:
        """The blocks of a cell (`"normal"` or `"reduce"`)."""
        params, blocks = architecture.params, []
        for node in self.nodes:
            prefix = f"{cell}/node_{node}"
            first, second = (
                (params[f"{prefix}/op_{slot}"], params[f"{prefix}/input_{slot}"])
                for slot in (0, 1)
            )
            combine = params.get(f"{prefix}/combine", self.combinations[0])
            blocks.append(Block((first, second), combine))
        return blocks

    def unread(self, architecture: Architecture, cell: str) -> tuple[int, ...]:
        """The hidden states that no block reads: the output of the cell."""
        read = {source for block in self.cell(architecture, cell) for _, source in block.genes}
        return tuple(node for node in self.nodes if node not in read)

    def concatenating(self, architecture: Architecture, cell: str) -> tuple[int, ...]:
        """The hidden states whose blocks concatenate their two results."""
        blocks = zip(self.nodes, self.cell(architecture, cell), strict=True)
        return tuple(node for node, block in blocks if block.combine == CONCATENATE)

    def genotype(self, architecture: Architecture) -> Genotype:
        """The architecture in the notation of DARTS, which does not say how results combine."""
        normal, reduce = (
            tuple(gene for block in self.cell(architecture, cell) for gene in block.genes)
            for cell in CELLS
        )
        normal_concat, reduce_concat = (self.unread(architecture, cell) for cell in CELLS)
        return Genotype(normal, normal_concat, reduce, reduce_concat)

    def from_genotype(
        self, genotype: Genotype, concatenating: Sequence[Collection[int]] = ((), ())
    ) -> Architecture:
        """Build the architecture of a genotype.

        Args:
            genotype: The genotype.
            concatenating: The hidden states of each cell whose blocks concatenate their results.

        Raises:
            ValueError: It is not one of this space: another number of blocks, an unknown
                operation or combination, or another output than what is not read.
        """
        params: dict[str, Any] = {}
        for cell, joined in zip(CELLS, concatenating, strict=True):
            genes = tuple(getattr(genotype, cell))
            check_genes(cell, genes)
            if len(genes) != 2 * self.blocks or not set(joined) <= set(self.nodes):
                raise ValueError(
                    f"`genotype.{cell}` has {len(genes)} pairs, and of its nodes {list(joined)} "
                    f"concatenate; allowed are {2 * self.blocks} pairs and nodes of "
                    f"{list(self.nodes)}."
                )
            for place, (operation, source) in enumerate(genes):
                prefix = f"{cell}/node_{2 + place // 2}"
                params[f"{prefix}/op_{place % 2}"] = operation
                params[f"{prefix}/input_{place % 2}"] = source
            for node in self.nodes:
                combine = COMBINATIONS[node in joined]
                params[f"{cell}/node_{node}/combine"] = combine
                if combine not in self.combinations:
                    raise ValueError(
                        f"Node {node} of `genotype.{cell}` has {combine!r}; allowed are "
                        f"{list(self.combinations)}."
                    )
        architecture = self.architecture(params)
        for cell in CELLS:
            given, unread = (
                tuple(getattr(genotype, f"{cell}_concat")),
                self.unread(architecture, cell),
            )
            if given != unread:
                raise ValueError(
                    f"`genotype.{cell}_concat` is {given}; allowed is {unread}, the nodes that "
                    "nothing reads."
                )
        return architecture

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block for each cell and input: 1 to `blocks` operations."""
        # In the reduction cell a skip from an input halves the resolution: no identity.
        return {
            f"{cell}/input_{index}": PathBlock(
                self.operations, 1, self.blocks, ZERO, IDENTITY if cell == "normal" else None
            )
            for cell in CELLS
            for index in (0, 1)
        }

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return both cells; a hidden state is `"cell/number"`, an operation `"cell/number/slot"`.

        Operations are on nodes: a block may apply two to the same hidden state.
        """
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for cell in CELLS:
            for node, label in enumerate(["c_{k-2}", "c_{k-1}", *map(str, self.nodes)]):
                graph.add_node(f"{cell}/{node}", label=label, cell=cell)
            for node, block in zip(self.nodes, self.cell(architecture, cell), strict=True):
                graph.nodes[f"{cell}/{node}"]["combine"] = block.combine
                for slot, (operation, source) in enumerate(block.genes):
                    name = f"{cell}/{node}/{slot}"
                    graph.add_node(name, label=operation, operation=operation, cell=cell)
                    strided = {"strided": True} if cell == "reduce" and source < 2 else {}
                    graph.add_edge(f"{cell}/{source}", name, **strided)
                    graph.add_edge(name, f"{cell}/{node}")
            output = f"{cell}/output"
            graph.add_node(output, label="output", cell=cell, combine=CONCATENATE)
            for node in self.unread(architecture, cell):
                graph.add_edge(f"{cell}/{node}", output)
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the genotype as DARTS does, and the nodes that concatenate behind it, if any."""
        text = str(self.genotype(architecture))
        joined = [list(self.concatenating(architecture, cell)) for cell in CELLS]
        return f"{text} concatenating {joined}" if any(joined) else text

    def parse(self, text: str) -> Architecture:
        """Read a genotype in the notation of DARTS, as published ones are written.

        Raises:
            ValueError: The text is not an architecture of this space.
        """
        genotype, _, joined = text.partition(" concatenating ")
        try:
            found = read_genotype(genotype)
            normal, reduce = json.loads(joined) if joined else ((), ())
            return self.from_genotype(found, ([*normal], [*reduce]))
        except TypeError as error:
            raise ValueError(
                f"`text` is {text!r}; needed is what `format` writes, which ends with two lists "
                "of nodes."
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "operations": list(self.operations),
            "blocks": self.blocks,
            "combinations": list(self.combinations),
        }
