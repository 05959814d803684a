"""Hierarchical architectures: motifs whose edges are motifs of the level below.

1. A motif is a directed graph of ordered nodes; each pair of them has an edge or none.
2. On the edges of the motifs of level 2 stand operations; on those of a higher level, motifs of
   the level below. There is one motif on the highest level: the cell.
3. A node is the concatenation of what arrives there.
4. *Flattened*, each edge with a motif is replaced by that motif, its first node being the source:
   what is left is one graph of operations. A motif that is used several times has weights of its
   own in each place.

Reference: H. Liu, K. Simonyan, O. Vinyals, C. Fernando, K. Kavukcuoglu, *Hierarchical
Representations for Efficient Architecture Search*, ICLR 2018, arXiv 1711.00436.

*Departures*: random architectures are uniform. The paper takes a chain of identities and 1,000
random mutations, which is as good as uniform.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, Path, PathBlock
from optuna_nas.spaces.cell import checked_operations
from optuna_nas.spaces.computation import CONCATENATE, graph_key, graph_paths
from optuna_nas.spaces.folding import IDENTITY, ZERO
from optuna_nas.spaces.graph import GraphSpace
from optuna_nas.spaces.notation import read_edges, write_edges

if TYPE_CHECKING:
    import numpy as np

HIERARCHICAL_OPERATIONS = (
    "skip_connect",
    "conv1x1-bn-relu",
    "depthwise3x3-bn-relu",
    "separable3x3-bn-relu",
    "max_pool_3x3",
    "avg_pool_3x3",
)

_MOST_LEVELS, _MOST_MOTIFS, _MOST_NODES = 4, 20, 8

Edges = dict[tuple[int, int], str]
"""What stands on the edges of a motif; edges with `none` are left out."""


class HierarchicalSpace(GraphSpace):
    """All motifs of all levels.

    Args:
        operations: The operations of the lowest level, by default the six of the paper.
        motifs: The number of motifs of each level from 2 on; the last one is 1.
        nodes: The nodes of a motif of each level.

    Attributes:
        levels: The numbers of the levels: 2, 3, ...

    Raises:
        ValueError: There are fewer than two operations, a name is repeated or malformed, or the
            numbers of motifs and nodes are no hierarchy.
    """

    def __init__(
        self,
        operations: Sequence[str] = HIERARCHICAL_OPERATIONS,
        motifs: Sequence[int] = (6, 1),
        nodes: Sequence[int] = (4, 5),
    ) -> None:
        self.operations = checked_operations(operations)
        if len(motifs) != len(nodes) or not 1 <= len(motifs) <= _MOST_LEVELS or motifs[-1] != 1:
            raise ValueError(
                f"`motifs` is {motifs!r} and `nodes` is {nodes!r}; allowed are as many numbers of "
                f"nodes as of motifs, up to {_MOST_LEVELS}, the last number of motifs being 1."
            )
        self.motifs = tuple(checked_integer("motifs", n, 1, _MOST_MOTIFS) for n in motifs)
        self.nodes = tuple(checked_integer("nodes", n, 2, _MOST_NODES) for n in nodes)
        self.levels = tuple(range(2, 2 + len(self.motifs)))
        distributions: dict[str, CategoricalDistribution] = {}
        groups = []
        for level in self.levels:
            names = [
                name
                for motif in range(self.motifs[level - 2])
                for name in self._names(level, motif).values()
            ]
            choices = CategoricalDistribution((ZERO, *self.choices(level)))
            distributions |= dict.fromkeys(names, choices)
            groups.append(names)
        super().__init__(distributions, groups=groups)

    def choices(self, level: int) -> tuple[str, ...]:
        """What may stand on an edge of a level, besides `none`."""
        if level == 2:
            return self.operations
        return tuple(f"motif_{motif}" for motif in range(self.motifs[level - 3]))

    def motif(self, architecture: Architecture, level: int, motif: int) -> Edges:
        """What stands on the edges of a motif."""
        names = self._names(level, motif)
        return {e: architecture[name] for e, name in names.items() if architecture[name] != ZERO}

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block: the operations on the ways through the flattened cell."""
        longest = 1
        for nodes in self.nodes:
            longest = (nodes - 1) * (longest + 1)
        motifs = (name for level in self.levels[1:] for name in self.choices(level))
        # An edge with a motif ends with a step from the motif's last node: an identity.
        alphabet = tuple(dict.fromkeys((ZERO, *self.operations, IDENTITY, *motifs)))
        return {"cell": PathBlock(alphabet, 1, longest, ZERO, IDENTITY)}

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Change one edge of one motif.

        As in the paper, the level, the motif, the target of the edge, its source, and what stands
        there instead are drawn one after the other, each uniformly.
        """
        level = int(rng.integers(len(self.levels)))
        motif = int(rng.integers(self.motifs[level]))
        target = 1 + int(rng.integers(self.nodes[level] - 1))
        source = int(rng.integers(target))
        name = self._names(self.levels[level], motif)[source, target]
        params = architecture.params
        return self._build({**params, name: self._moved(name, params[name], rng)})

    def simplify(self, architecture: Architecture) -> Architecture:
        """Set the edges that the cell does not compute to `none`."""
        live = self._live(architecture)
        params: dict[str, Any] = {}
        for which in self._which():
            edges, names = live.get(which, {}), self._names(*which)
            params |= {name: edges.get(edge, ZERO) for edge, name in names.items()}
        return self._build(params)

    def flattened(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """The cell as one graph of operations, without what it does not compute.

        Its edges carry operations of the lowest level, or nothing where the last node of a motif
        feeds the level above. A cell that computes nothing is an edge with `none`.
        """
        live = self._live(architecture)
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("input", label="input")

        def expand(level: int, motif: int, source: str, prefix: str) -> str:
            """Add a motif behind its source, and return its last node."""
            names = {0: source}
            for (start, end), choice in live[level, motif].items():
                name = names.setdefault(end, f"{prefix}{end}")
                if level == 2:
                    arriving = names[start]
                else:
                    arriving = expand(level - 1, _number(choice), names[start], f"{name}<{start}.")
                graph.add_node(name, label=name, combine=CONCATENATE)
                graph.add_edge(arriving, name, **({"operation": choice} if level == 2 else {}))
            return names[self.nodes[level - 2] - 1]

        top = self.levels[-1]
        if (top, 0) in live:
            graph.nodes[expand(top, 0, "input", "")]["label"] = "output"
        else:
            graph.add_node("output", label="output")
            graph.add_edge("input", "output", operation=ZERO)
        return graph

    def key(self, architecture: Architecture) -> str:
        """Return what the flattened cell computes."""
        return graph_key(self.flattened(architecture), self.weightless)

    def paths(self, architecture: Architecture) -> list[Path]:
        """Return every path through the flattened cell."""
        return graph_paths(self.flattened(architecture))

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return each motif as a graph of its own, the cell first."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for level in reversed(self.levels):
            last = self.nodes[level - 2] - 1
            for motif in range(self.motifs[level - 2]):
                cell = "top" if level == self.levels[-1] else f"level_{level}/motif_{motif}"
                for node in range(last + 1):
                    label = {0: "input", last: "output"}.get(node, str(node))
                    graph.add_node(f"{cell}/{node}", label=label, cell=cell)
                for (start, end), name in self._names(level, motif).items():
                    operation = architecture[name]
                    graph.add_edge(f"{cell}/{start}", f"{cell}/{end}", operation=operation)
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write each motif as NAS-Bench-201 writes a cell, level by level: `... / ... / ...`."""
        return " / ".join(
            write_edges({e: architecture[name] for e, name in self._names(*which).items()})
            for which in self._which()
        )

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another form, or names what may not stand on an edge.
        """
        parts, which = text.strip().split(" / "), self._which()
        if len(parts) == len(which):
            params: dict[str, Any] = {}
            for part, (level, motif) in zip(parts, which, strict=True):
                names, found = self._names(level, motif), read_edges(part)
                params |= {names[edge]: found[edge] for edge in names.keys() & found.keys()}
            if params.keys() == self._distributions.keys():
                architecture = self.architecture(params)
                if self.format(architecture) == text.strip():
                    return architecture
        raise ValueError(
            f"`text` is {text!r}; {self.name} needs {len(which)} motifs such as "
            f"|{self.operations[0]}~0|+|{ZERO}~0|{self.operations[1]}~1|, separated by ' / '."
        )

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "operations": list(self.operations),
            "motifs": list(self.motifs),
            "nodes": list(self.nodes),
        }

    def _which(self) -> list[tuple[int, int]]:
        """The motifs of all levels."""
        return [(level, m) for level in self.levels for m in range(self.motifs[level - 2])]

    def _names(self, level: int, motif: int) -> dict[tuple[int, int], str]:
        """The parameters of a motif by edge, in the order of the targets."""
        pairs = combinations(range(self.nodes[level - 2]), 2)
        return {
            (i, j): f"level_{level}/motif_{motif}/edge_{i}_{j}"
            for i, j in sorted(pairs, key=lambda pair: pair[::-1])
        }

    def _live(self, architecture: Architecture) -> dict[tuple[int, int], Edges]:
        """The motifs that the cell uses, with the edges on a way through them."""
        if "live" in architecture.memo:
            known: dict[tuple[int, int], Edges] = architecture.memo["live"]
            return known
        passing: dict[tuple[int, int], Edges] = {}
        for level, motif in self._which():
            edges = {
                edge: choice
                for edge, choice in self.motif(architecture, level, motif).items()
                if level == 2 or (level - 1, _number(choice)) in passing
            }
            if through := _on_a_way(edges, self.nodes[level - 2] - 1):
                passing[level, motif] = through
        wanted = {(self.levels[-1], 0)} & passing.keys()
        live: dict[tuple[int, int], Edges] = {}
        while wanted:
            level, motif = which = wanted.pop()
            live[which] = passing[which]
            if level > 2:
                below = {(level - 1, _number(c)) for c in passing[which].values()}
                wanted |= below - live.keys()
        architecture.memo["live"] = live
        return live


def _number(motif: str) -> int:
    """The number of `motif_3`."""
    return int(motif.rpartition("_")[2])


def _on_a_way(edges: Edges, last: int) -> Edges:
    """The edges on some way from node 0 to the last one; they are ordered by their targets."""
    reached, used = {0}, {last}
    for source, target in edges:
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in used:
            used.add(source)
    return {(s, t): c for (s, t), c in edges.items() if s in reached and t in used}
