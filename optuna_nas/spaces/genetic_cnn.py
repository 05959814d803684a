"""The space of Genetic CNN: bits that say which nodes of a stage feed which.

A stage has K nodes in order, each a convolution of the sum of what it reads, and one bit for each
pair of them. A first convolution feeds every node that reads no other; a last one reads the sum of
every node that no other reads. Nodes without any connection are left out, and a stage without
connections is one convolution.

Reference: L. Xie, A. Yuille, *Genetic CNN*, ICCV 2017, arXiv 1703.01513.

*Departures*: the mutation flips each bit with the published probability of .05, and is drawn again
until a bit is flipped. (Whether an individual mutates at all is the sampler's business.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, PathBlock
from optuna_nas.spaces.graph import GraphSpace

if TYPE_CHECKING:
    import numpy as np

FLIP_PROBABILITY = 0.05
"""The published probability that a mutation flips a bit."""

_CONVOLUTION = "conv3x3-bn-relu"
_MOST_NODES = 12
_MOST_STAGES = 8


class GeneticCNNSpace(GraphSpace):
    """All connections of the nodes of each stage.

    Args:
        nodes: The nodes of each stage, from 1 to 12; one to eight stages. (3, 5) makes 13 bits,
            (3, 4, 5) makes 19: the published spaces for MNIST and CIFAR.

    Raises:
        ValueError: There is no stage, there are too many, or one has too few or too many nodes.
    """

    def __init__(self, nodes: Sequence[int] = (3, 4, 5)) -> None:
        checked_integer("the number of stages in `nodes`", len(nodes), 1, _MOST_STAGES)
        self.nodes = tuple(
            checked_integer(f"nodes[{stage}]", count, 1, _MOST_NODES)
            for stage, count in enumerate(nodes)
        )
        self._bits = [
            {(i, j): f"stage_{stage}/edge_{i}_{j}" for i, j in _pairs(count)}
            for stage, count in enumerate(self.nodes, start=1)
        ]
        names = [name for stage in self._bits for name in stage.values()]
        super().__init__(
            {name: CategoricalDistribution((False, True)) for name in names},
            groups=[list(stage.values()) for stage in self._bits if stage],
        )

    def edges(self, architecture: Architecture, stage: int) -> list[tuple[int, int]]:
        """The connections of a stage that is counted from 0.

        Node 0 is the first convolution and node K + 1 the last one; there are none where no two
        nodes are connected.
        """
        linked = [pair for pair, name in self._bits[stage].items() if architecture[name]]
        sources, targets = {i for i, _ in linked}, {j for _, j in linked}
        last = self.nodes[stage] + 1
        first = [(0, node) for node in sorted(sources - targets)]
        return [*first, *linked, *((node, last) for node in sorted(targets - sources))]

    @property
    def num_operations(self) -> int:
        """The nodes of all stages, and two convolutions for each."""
        return sum(count + 2 for count in self.nodes)

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block for each stage: 1 to K + 2 convolutions."""
        return {
            f"stage_{stage}/input_0": PathBlock((_CONVOLUTION,), 1, count + 2)
            for stage, count in enumerate(self.nodes, start=1)
        }

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Flip each bit with a probability of 5 per cent, at least one."""
        params = architecture.params
        while True:
            flips = rng.random(len(params)) < FLIP_PROBABILITY
            if flips.any():
                pairs = zip(params.items(), flips.tolist(), strict=True)
                return Architecture(self, {name: bit != flip for (name, bit), flip in pairs})

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the convolutions of each stage; a node is named `"stage_1/number"`."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for place, count in enumerate(self.nodes):
            cell = f"stage_{place + 1}"
            edges = self.edges(architecture, place)
            used = sorted({0} | {node for edge in edges for node in edge})
            graph.add_node(f"{cell}/input", label="input", cell=cell)
            for node in used:
                graph.add_node(
                    f"{cell}/{node}", label=str(node), operation=_CONVOLUTION, cell=cell
                )
            graph.add_node(f"{cell}/output", label="output", cell=cell)
            graph.add_edge(f"{cell}/input", f"{cell}/0")
            graph.add_edges_from((f"{cell}/{i}", f"{cell}/{j}") for i, j in edges)
            graph.add_edge(f"{cell}/{count + 1 if edges else 0}", f"{cell}/output")
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the bits as the paper does, node by node: `1-01|0-01-100`, stages behind `|`."""
        return "|".join(
            "-".join(
                "".join(str(int(architecture[stage[i, j]])) for i in range(1, j))
                for j in range(2, count + 1)
            )
            for count, stage in zip(self.nodes, self._bits, strict=True)
        )

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another form, or other numbers of bits.
        """
        form = r"\|".join(
            "-".join(f"[01]{{{j - 1}}}" for j in range(2, count + 1)) for count in self.nodes
        )
        if not re.fullmatch(form, text.strip()):
            example = self.format(self._build(dict.fromkeys(self._distributions, False)))
            raise ValueError(
                f"`text` is {text!r}; {self.name} needs digits 0 or 1 such as {example}."
            )
        bits = [digit == "1" for digit in text if digit in "01"]
        return self._build(dict(zip(self._distributions, bits, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {"space": self.name, "nodes": list(self.nodes)}


def _pairs(count: int) -> list[tuple[int, int]]:
    """The pairs of nodes, by the later one."""
    return sorted(combinations(range(1, count + 1), 2), key=lambda pair: pair[::-1])
