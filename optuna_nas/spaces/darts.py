"""The cell space of DARTS: a normal and a reduction cell of four nodes with two inputs each.

The inputs 0 and 1 of a cell are the outputs of the two cells before it; nodes 2 to 5 each add two
operations applied to two different earlier nodes; the four are concatenated.

Reference: H. Liu, K. Simonyan, Y. Yang, *DARTS: Differentiable Architecture Search*, ICLR 2019,
arXiv 1806.09055.

*Departures*: the two inputs of a node are one parameter, an unordered pair, so that every setting
of the parameters is an architecture and no architecture has two settings for its inputs.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.computation import CONCATENATE
from optuna_nas.spaces.folding import IDENTITY, WEIGHTLESS, ZERO, Folding
from optuna_nas.spaces.genotype import CELLS, Gene, Genotype, check_genes, read_genotype
from optuna_nas.spaces.graph import GraphSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

DARTS_OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NODES = (2, 3, 4, 5)


class DARTSSpace(GraphSpace):
    """All pairs of a normal and a reduction cell.

    Args:
        operations: The operations a cell may use, by default the eight of the paper, `none`
            included. Without `none` there are 1,037,664,180 cells of each kind.

    Raises:
        ValueError: An operation is unknown, repeated, or there are fewer than two.
    """

    def __init__(self, operations: Sequence[str] = DARTS_OPERATIONS) -> None:
        self.operations = tuple(operations)
        unknown = set(self.operations) - set(DARTS_OPERATIONS)
        if unknown or len(self.operations) < 2 or len(set(operations)) < len(self.operations):
            raise ValueError(
                f"`operations` is {operations!r}; allowed are two or more different ones of "
                f"{list(DARTS_OPERATIONS)}."
            )
        distributions = {}
        for cell in CELLS:
            for node in NODES:
                pairs = [f"{i},{j}" for i, j in combinations(range(node), 2)]
                if len(pairs) > 1:
                    distributions[f"{cell}/node_{node}/inputs"] = CategoricalDistribution(pairs)
                for slot in (0, 1):
                    distributions[f"{cell}/node_{node}/op_{slot}"] = CategoricalDistribution(
                        self.operations
                    )
        super().__init__(distributions)

    def genes(self, architecture: Architecture, cell: str) -> list[tuple[Gene, Gene]]:
        """The two operations and inputs of each node of a cell (`"normal"` or `"reduce"`)."""
        params = architecture.params
        genes = []
        for node in NODES:
            inputs = params.get(f"{cell}/node_{node}/inputs", "0,1").split(",")
            first, second = (
                (params[f"{cell}/node_{node}/op_{slot}"], int(inputs[slot])) for slot in (0, 1)
            )
            genes.append((first, second))
        return genes

    def genotype(self, architecture: Architecture) -> Genotype:
        """The architecture as the genotype from which the network is built."""
        normal, reduce = (
            tuple(gene for pair in self.genes(architecture, cell) for gene in pair)
            for cell in CELLS
        )
        return Genotype(normal, NODES, reduce, NODES)

    def from_genotype(self, genotype: Genotype) -> Architecture:
        """Build the architecture of a genotype.

        Raises:
            ValueError: It is not one of this space: another number of nodes, two equal inputs,
                an unknown operation or another concatenation.
        """
        params: dict[str, Any] = {}
        for cell, concat in (("normal", "normal_concat"), ("reduce", "reduce_concat")):
            genes: Sequence[Gene] = getattr(genotype, cell)
            check_genes(cell, tuple(genes))
            if len(genes) != 2 * len(NODES) or tuple(getattr(genotype, concat)) != NODES:
                raise ValueError(
                    f"`genotype.{cell}` has {len(genes)} pairs and concatenates "
                    f"{tuple(getattr(genotype, concat))}; allowed are 8 pairs and {NODES}."
                )
            for node, first, second in zip(NODES, genes[::2], genes[1::2], strict=True):
                low, high = sorted((first, second), key=lambda gene: gene[1])
                if low[1] == high[1] or not 0 <= low[1] < high[1] < node:
                    raise ValueError(
                        f"Node {node} of `genotype.{cell}` has the inputs {low[1]} and {high[1]}; "
                        f"allowed are two different ones below {node}."
                    )
                params[f"{cell}/node_{node}/inputs"] = f"{low[1]},{high[1]}"
                params[f"{cell}/node_{node}/op_0"] = low[0]
                params[f"{cell}/node_{node}/op_1"] = high[0]
        return self.architecture(params)

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block for each cell and input: 0 to 4 operations (4 x 4,681 for 8 operations)."""
        # In the reduction cell a skip from an input halves the resolution: no identity.
        return {
            f"{cell}/input_{index}": PathBlock(
                self.operations, 0, len(NODES), ZERO, IDENTITY if cell == "normal" else None
            )
            for cell in CELLS
            for index in (0, 1)
        }

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return every path from an input of a cell to any of its nodes.

        All nodes are concatenated, so a path may end at each of them.
        """
        found = []
        for cell in CELLS:
            arriving: dict[int, list[tuple[tuple[int, ...], tuple[str, ...]]]] = {
                0: [((0,), ())],
                1: [((1,), ())],
            }
            for node, pair in zip(NODES, self.genes(architecture, cell), strict=True):
                arriving[node] = [
                    ((*route, node), (*operations, operation))
                    for operation, source in pair
                    for route, operations in arriving[source]
                ]
                found += [
                    Path(f"{cell}/input_{route[0]}", route, operations)
                    for route, operations in arriving[node]
                ]
        return found

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Change one operation or one input of one node.

        As in the paper's own mutation, a cell and one of its eight edges are chosen uniformly,
        then with equal probability the operation or the input changes, here always to another
        one. (The inputs of node 2 cannot change: there the operation does.)
        """
        params = architecture.params
        cell = CELLS[rng.integers(len(CELLS))]
        node = NODES[rng.integers(len(NODES))]
        slot = int(rng.integers(2))
        prefix = f"{cell}/node_{node}"
        if node == NODES[0] or rng.random() < 0.5:
            name = f"{prefix}/op_{slot}"
            others = [operation for operation in self.operations if operation != params[name]]
            params[name] = others[rng.integers(len(others))]
        else:
            pair = list(self.genes(architecture, cell)[NODES.index(node)])
            taken = {source for _, source in pair}
            free = [source for source in range(node) if source not in taken]
            pair[slot] = (pair[slot][0], free[rng.integers(len(free))])
            self._write(params, prefix, pair)
        return Architecture(self, params)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all architectures with one operation changed or one input moved."""
        found = []
        for cell in CELLS:
            for node, pair in zip(NODES, self.genes(architecture, cell), strict=True):
                prefix = f"{cell}/node_{node}"
                taken = {source for _, source in pair}
                for slot in (0, 1):
                    operation, source = pair[slot]
                    changed = [(other, source) for other in self.operations if other != operation]
                    changed += [(operation, s) for s in range(node) if s not in taken]
                    for gene in changed:
                        genes = list(pair)
                        genes[slot] = gene
                        params = architecture.params
                        self._write(params, prefix, genes)
                        found.append(Architecture(self, params))
        return found

    def key(self, architecture: Architecture) -> str:
        """Return the canonical forms of both cells.

        In the reduction cell a `skip_connect` from an input halves the resolution with weights of
        its own, so it does not fold.
        """
        forms = []
        for cell in CELLS:
            folding = Folding(["@0", "@1"], WEIGHTLESS)
            values = [folding.input(0), folding.input(1)]
            for pair in self.genes(architecture, cell):
                values.append(
                    folding.add(
                        folding.apply(
                            operation,
                            values[source],
                            identity=cell == "normal" or source not in (0, 1),
                        )
                        for operation, source in pair
                    )
                )
            forms.append(folding.canonical(values[2:]))
        return "|".join(forms)

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return both cells; a node is named `"cell/number"` and has the attribute `cell`."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for cell in CELLS:
            for node, label in enumerate(["c_{k-2}", "c_{k-1}", *map(str, NODES), "output"]):
                graph.add_node(f"{cell}/{node}", label=label, cell=cell)
            output = f"{cell}/{NODES[-1] + 1}"
            graph.nodes[output]["combine"] = CONCATENATE
            for node, pair in zip(NODES, self.genes(architecture, cell), strict=True):
                for operation, source in pair:
                    strided = {"strided": True} if cell == "reduce" and source < 2 else {}
                    edge = f"{cell}/{source}", f"{cell}/{node}"
                    graph.add_edge(*edge, operation=operation, **strided)
                graph.add_edge(f"{cell}/{node}", output)
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the genotype as DARTS does; the pairs of a node are in the order of its inputs."""
        return str(self.genotype(architecture))

    def parse(self, text: str) -> Architecture:
        """Read a genotype in the notation of DARTS, as published ones are written.

        Raises:
            ValueError: The text is not a genotype of this space.
        """
        return self.from_genotype(read_genotype(text))

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {"space": self.name, "operations": list(self.operations)}

    def _write(self, params: dict[str, Any], prefix: str, pair: Sequence[Gene]) -> None:
        low, high = sorted(pair, key=lambda gene: gene[1])
        if f"{prefix}/inputs" in params:
            params[f"{prefix}/inputs"] = f"{low[1]},{high[1]}"
        params[f"{prefix}/op_0"], params[f"{prefix}/op_1"] = low[0], high[0]
