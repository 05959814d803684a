"""What the graph of operations looks like: who feeds whom, and its shape.

1. The paths from the inputs to the output say which operations stand behind each other. A path
   through `none` is no path, and `skip_connect` is left out of a path. Each use of an operation
   is a vertex, and so are the inputs and the output of a cell; a vertex feeds the one that
   follows it on any path.
2. *Connections*: how often each operation (or input) feeds each other operation (or the output).
3. *Shape*: how large the graph is, how deep, and how it branches, whatever the operations are.

None of this depends on how the vertices are numbered. With the counts of the operations, a few
dozen observations are enough to rank unseen architectures better than from paths
(docs/bananas.md).

Reference: B. Ru et al., *Interpretable Neural Architecture Search via Bayesian Optimisation with
Weisfeiler-Lehman Kernels*, ICLR 2021, arXiv 2006.07556.

*Departures*: labelled edges and invariants of the shape instead of the labelled neighbourhoods of
vertices, so that the columns are the same for every architecture of a space.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optuna_nas.surrogates.encodings import Encoding
from optuna_nas.surrogates.operation_counts import operations_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna_nas.spaces import Architecture, PathBlock, SearchSpace

OUTPUT = "output"
"""The label of the vertex where a cell ends."""

SHAPE = (
    "operations and ends",
    "connections",
    "log of the paths",
    "longest path",
    "shortest path",
    "mean path",
    "fan-in of the output",
    "largest fan-in",
    "fan-in 1",
    "fan-in 2",
    "fan-in 3 or more",
    "fan-out of the inputs",
    "largest fan-out",
    "fan-out 1",
    "fan-out 2",
    "fan-out 3 or more",
)
"""The columns of a cell's shape; those of a fan-in count the vertices that have it."""

_PER_CONNECTION, _PER_SHAPE = 1 / 2, 1 / 3
"""Units of the columns: an ensemble learns best if all vary by about one."""


class ConnectionEncoding(Encoding):
    """How often each operation feeds each other one, and the shape of the graph, cell by cell."""

    def dimension(self, space: SearchSpace) -> int:
        """The number of pairs of labels, and sixteen for the shape, of all cells together."""
        return len(_pairs(space)) + len(SHAPE) * len(sources(space))

    def parts(self, space: SearchSpace) -> dict[str, slice]:
        """The connections and the shape."""
        cut = len(_pairs(space))
        return {"connections": slice(0, cut), "shape": slice(cut, self.dimension(space))}

    def encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures as `n x d`."""
        pairs, blocks = _pairs(space), space.path_blocks
        starts = {cell: len(pairs) + len(SHAPE) * n for n, cell in enumerate(sources(space))}
        encoded = np.zeros((len(architectures), self.dimension(space)), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            for cell, graph in connections(architecture, blocks).items():
                for source, target in graph.edges:
                    column = pairs[cell, graph.labels[source], graph.labels[target]]
                    encoded[row, column] += _PER_CONNECTION
                start = starts[cell]
                encoded[row, start : start + len(SHAPE)] = shape(graph)
        encoded[:, len(pairs) :] *= _PER_SHAPE
        return encoded


def _pairs(space: SearchSpace) -> dict[tuple[str, str, str], int]:
    """The column of each cell and pair of labels.

    Raises:
        ValueError: The space has no paths.
    """
    if not space.path_blocks:
        raise ValueError(
            f"{space.name} has no operations to connect; use `encoding='one_hot'` for it."
        )
    operations = operations_of(space)
    pairs = (
        (cell, source, target)
        for cell, inputs in sources(space).items()
        for source in (*inputs, *operations)
        for target in (*operations, OUTPUT)
    )
    return {pair: column for column, pair in enumerate(pairs)}


class Connections(NamedTuple):
    """The graph of the operations of one cell.

    Attributes:
        labels: The label of each vertex: an operation, the name of an input, or `output`.
        edges: Pairs of vertices, the first feeds the second.
        paths: All ways from an input to the output, as sequences of vertices.
    """

    labels: dict[Hashable, str]
    edges: set[tuple[Hashable, Hashable]]
    paths: set[tuple[Hashable, ...]]


def connections(
    architecture: Architecture, blocks: Mapping[str, PathBlock] | None = None
) -> dict[str, Connections]:
    """The graph of each cell of an architecture, by the name of the cell.

    A cell whose output nothing reaches has a graph without vertices.

    Args:
        architecture: The architecture.
        blocks: The blocks of the paths of its space, for who has them at hand.
    """
    space = architecture.space
    blocks = space.path_blocks if blocks is None else blocks
    cells: dict[str, Connections] = {}
    places = {name: _split(name) for name in blocks}
    for cell, _ in places.values():
        cells.setdefault(cell, Connections({}, set(), set()))
    for name, route, operations in space.paths(architecture):
        block = blocks[name]
        if block.zero is not None and block.zero in operations:
            continue
        cell, source = places[name]
        labels, edges, paths = cells[cell]
        on_edges = len(operations) == len(route) - 1
        uses: Iterable[Hashable] = pairwise(route) if on_edges else route[1:-1]
        path: list[Hashable] = [source]
        for use, operation in zip(uses, operations, strict=True):
            if operation != block.identity:
                labels[use] = operation
                path.append(use)
        path.append(OUTPUT)
        labels[source], labels[OUTPUT] = source, OUTPUT
        edges.update(pairwise(path))
        paths.add(tuple(path))
    return cells


def shape(graph: Connections) -> list[float]:
    """The columns of :data:`SHAPE` of the graph of a cell; zeros if it is empty."""
    if not graph.edges:
        return [0.0] * len(SHAPE)
    lengths = [len(path) - 2 for path in graph.paths]
    fan_in: dict[Hashable, int] = {}
    fan_out: dict[Hashable, int] = {}
    for source, target in graph.edges:
        fan_out[source] = fan_out.get(source, 0) + 1
        fan_in[target] = fan_in.get(target, 0) + 1
    of_inputs = sum(fan for source, fan in fan_out.items() if source not in fan_in)
    return [
        len(graph.labels),
        len(graph.edges),
        math.log(len(lengths)),
        max(lengths),
        min(lengths),
        sum(lengths) / len(lengths),
        fan_in[OUTPUT],
        *_branching(list(fan_in.values())),
        of_inputs,
        *_branching(list(fan_out.values())),
    ]


def _branching(fans: list[int]) -> tuple[int, int, int, int]:
    """The largest fan, and how many vertices have one of 1, of 2, and of more."""
    ones, twos = fans.count(1), fans.count(2)
    return max(fans), ones, twos, len(fans) - ones - twos


def sources(space: SearchSpace) -> dict[str, list[str]]:
    """The names of the inputs of each cell of a space; empty for a space without paths."""
    named: dict[str, list[str]] = {}
    for block in space.path_blocks:
        cell, source = _split(block)
        named.setdefault(cell, []).append(source)
    return named


def _split(block: str) -> tuple[str, str]:
    """The cell and the input that a block of paths belongs to."""
    cell, _, source = block.rpartition("/")
    return cell, source
