"""A cell that computes any graph of operations, and the network around it.

1. Nodes are computed one after the other: the sum of what arrives, or its concatenation, brought
   back to the channels of the cell by a ReLU-1x1 convolution-BN. Of a single part nothing is
   concatenated: it passes as it is.
2. An operation is applied on its edge, or to the value of its node.
3. Nodes and edges on no way from the input to the output are left out (see `liveness`), so that
   architectures of one `key` compute the same function.
4. The network is that of NAS-Bench-201: three stages of cells (:mod:`.cell_network`).

It is what a space of one's own can be built with at no cost::

    register_network(MySpace, channels=16, cells=1)(graph_network)

The vocabulary of the graphs is that of :mod:`optuna_nas.spaces.graph`.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions
from optuna_nas.networks.cell_network import StagedNetwork
from optuna_nas.networks.layers import Zero, relu_conv_norm, zeros
from optuna_nas.networks.liveness import live_edges
from optuna_nas.networks.operations import operation
from optuna_nas.spaces import Architecture
from optuna_nas.spaces.computation import CONCATENATE, cells_of
from optuna_nas.spaces.folding import ZERO

if TYPE_CHECKING:
    import networkx as nx


class GraphCell(nn.Module):
    """A graph with one input and one output.

    Args:
        graph: The graph of operations.
        channels: Channels of every node.

    Attributes:
        operations: The operations that are computed: `"2"` on the third node that is computed,
            `"0>2"` on the edge from the first to the third.
        joins: The convolutions behind concatenations, by the number of the node.

    Raises:
        ValueError: An operation is unknown, or the graph is not a cell with one input, one output
            and one resolution.
    """

    def __init__(self, graph: nx.DiGraph[Any], channels: int) -> None:
        super().__init__()
        nodes = _only_cell(graph)
        numbers = {node.name: number for number, node in enumerate(nodes)}
        self.operations = nn.ModuleDict()
        self.joins = nn.ModuleDict()
        self.output = next(number for number, node in enumerate(nodes) if not node.is_read)
        edges = {
            (numbers[source], number): edge.get("operation")
            for number, node in enumerate(nodes)
            for source, edge in node.arriving
            if ZERO not in (edge.get("operation"), node.attributes.get("operation"))
        }
        made = {
            e: None if o is None else operation(o)(channels, channels, 1) for e, o in edges.items()
        }
        linked = [edge for edge, module in made.items() if not isinstance(module, Zero)]
        alive = [linked[i] for i in live_edges(linked, {0}, {self.output})]
        self._sources: dict[int, list[int]] = {}
        for source, target in alive:
            self._sources.setdefault(target, []).append(source)
            module = made[source, target]
            if module is not None:
                self.operations[f"{source}>{target}"] = module
        for number, sources in self._sources.items():
            attributes = nodes[number].attributes
            if attributes.get("combine") == CONCATENATE and len(sources) > 1:
                self.joins[str(number)] = relu_conv_norm(
                    len(sources) * channels, channels, kernel_size=1
                )
            if "operation" in attributes:
                factory = operation(attributes["operation"])
                self.operations[str(number)] = factory(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B C H W` to the same shape; zeros if nothing connects input and output."""
        values = {0: x}
        for number, sources in self._sources.items():
            terms = [
                self.operations[edge](values[source])
                if edge in self.operations
                else values[source]
                for source in sources
                for edge in [f"{source}>{number}"]
            ]
            if str(number) in self.joins:
                value = self.joins[str(number)](torch.cat(terms, dim=1))  # B C H W
            else:
                value = reduce(torch.add, terms)
            if str(number) in self.operations:
                value = self.operations[str(number)](value)
            values[number] = value
        return values[self.output] if self.output in values else zeros(x, x.shape[1])


def graph_network(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    """Build the network of an architecture from its graph.

    Raises:
        ValueError: An operation is unknown, or the graph is no single cell of one resolution.
    """
    return staged(architecture.graph, options)


def staged(graph: nx.DiGraph[Any], options: NetworkOptions) -> nn.Module:
    """Build the network around a graph."""
    return StagedNetwork(
        lambda channels: GraphCell(graph, channels),
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
        cells=options.cells,
    )


def _only_cell(graph: nx.DiGraph[Any]) -> list[Any]:
    cells = list(cells_of(graph).values())
    nodes = cells[0] if cells else []
    inputs = sum(not node.arriving for node in nodes)
    outputs = sum(not node.is_read for node in nodes)
    strided = any(edge.get("strided") for node in nodes for _, edge in node.arriving)
    if len(cells) != 1 or inputs != 1 or outputs != 1 or len(nodes) < 2 or strided:
        raise ValueError(
            f"`graph` has {len(cells)} cells, of which the first has {inputs} inputs and "
            f"{outputs} outputs; allowed is one cell with one input and one output, without edges "
            "that are `strided`. Register a builder of your own for such a space."
        )
    return nodes
