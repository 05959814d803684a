"""The cell of a supernet: every node reads all nodes before it, over mixed operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import nn

from optuna_nas.supernets.depthwise import join_phases
from optuna_nas.supernets.mixture import EdgeValues, Mixture
from optuna_nas.supernets.plan import Edge, Plan
from optuna_nas.supernets.views import as_images


def cell_edges(inputs: int, nodes: int) -> tuple[Edge, ...]:
    """List the edges of a cell, by target and then by source.

    Args:
        inputs: How many of the nodes are inputs of the cell; they come first.
        nodes: How many nodes there are, inputs included.
    """
    return tuple((source, target) for target in range(inputs, nodes) for source in range(target))


class MixedCell(nn.Module):
    """A complete directed acyclic graph of mixed operations.

    Args:
        inputs: How many nodes are inputs.
        nodes: How many nodes there are, inputs included.
        operations: The operations of every edge, in the order of the weights' columns.
        channels: Channels of every node.
        stride: The stride of the edges that leave an input, 1 or 2.
        pool_norm: Whether a pooling is followed by batch norm.
        outputs: The nodes that the cell gives; None for all behind the inputs.

    Attributes:
        edges: The edges, in the order of the weights' rows.

    Raises:
        ValueError: An operation is unknown.
    """

    def __init__(
        self,
        inputs: int,
        nodes: int,
        operations: Sequence[str],
        channels: int,
        *,
        stride: int = 1,
        pool_norm: bool = False,
        outputs: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.nodes = nodes
        self.channels = channels
        self.stride = stride
        self.outputs = tuple(range(inputs, nodes) if outputs is None else outputs)
        self.edges = cell_edges(inputs, nodes)
        self._leaving = [
            [row for row, (start, _) in enumerate(self.edges) if start == source]
            for source in range(nodes - 1)
        ]
        self._targets = [[self.edges[row][1] for row in rows] for rows in self._leaving]
        self.mixtures = nn.ModuleList(
            Mixture(
                operations,
                len(rows),
                channels,
                stride if source < inputs else 1,
                pool_norm=pool_norm,
            )
            for source, rows in enumerate(self._leaving)
        )

    def plan(self, weights: torch.Tensor, computed: torch.Tensor) -> Plan:
        """What is to be computed of the wanted operations, `edges operations` each."""
        mixture = self.mixtures[0]
        assert isinstance(mixture, Mixture)
        return Plan.of(
            weights,
            computed,
            self.edges,
            inputs=self.inputs,
            outputs=self.outputs,
            absent=mixture.absent,
        )

    def forward(self, inputs: Sequence[torch.Tensor], weights: torch.Tensor) -> list[torch.Tensor]:
        """Compute all operations on all edges, fused.

        Args:
            inputs: The values of the inputs, `B C H W` each.
            weights: The weight of each operation on each edge, `edges operations`; the edges are
                in the order of :func:`cell_edges`.

        Returns:
            The values of the outputs, `B C H/stride W/stride` each.
        """
        values = list(inputs)
        size = [-(-side // self.stride) for side in values[0].shape[2:]]
        arriving: list[list[EdgeValues]] = [[] for _ in range(self.nodes)]
        for source, mixture in enumerate(self.mixtures):
            if source >= self.inputs:
                values.append(_sum(arriving[source], size))
            edges = mixture(values[source], weights[self._leaving[source]])
            for target, edge in zip(self._targets[source], edges, strict=True):
                arriving[target].append(edge)
        values.append(_sum(arriving[-1], size))
        return [values[node] for node in self.outputs]

    def planned(
        self, inputs: Mapping[int, torch.Tensor], weights: torch.Tensor, plan: Plan
    ) -> list[torch.Tensor | None]:
        """Compute what a plan says, edge by edge, and nothing else.

        Args:
            inputs: The values of the inputs that the plan reads, `B C H W` each.
            weights: The weight of each operation on each edge, `edges operations`.
            plan: What is to be computed.

        Returns:
            The values of the outputs, `B C H/stride W/stride` each; None where nothing arrives.
        """
        values = dict(inputs)
        for source, live in sorted(plan.leaving.items()):
            mixture, rows = self.mixtures[source], self._leaving[source]
            assert isinstance(mixture, Mixture)
            positions = [(rows.index(edge.row), edge) for edge in live]
            for edge, value in zip(
                live, mixture.on_edges(values[source], weights, positions), strict=True
            ):
                known = values.get(edge.target)
                values[edge.target] = value if known is None else known + value
        return [values.get(node) for node in self.outputs]


def _sum(edges: Sequence[EdgeValues], size: Sequence[int]) -> torch.Tensor:
    """The value of a node, `B C H W` with `size` the height and width."""
    height, width = size
    pixels = [part for edge in edges for part in edge.pixels]
    phases = [part for edge in edges for part in edge.phases]
    sums = []
    if phases:
        sums.append(join_phases(as_images(reduce(torch.add, phases), (height // 2, width // 2))))
    if pixels:
        sums.append(as_images(reduce(torch.add, pixels), size))
    return reduce(torch.add, sums)
