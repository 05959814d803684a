"""The cell of a supernet: every node reads all nodes before it, over mixed operations.

With partial channels, as in PC-DARTS, the first of every K channels go through the operations; the
others pass every edge as they are, or pooled where the stride is 2, times the sum of the edge's
weights. A node's channels are shuffled, so that the next edge mixes others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas.supernets.depthwise import join_phases
from optuna_nas.supernets.mixture import EdgeValues, Mixture, as_factor
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
        partial_channels: Of so many channels one goes through the operations.

    Attributes:
        edges: The edges, in the order of the weights' rows.

    Raises:
        ValueError: An operation is unknown, or the channels cannot be divided so.
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
        partial_channels: int = 1,
    ) -> None:
        super().__init__()
        if channels % partial_channels:
            raise ValueError(
                f"`partial_channels` is {partial_channels}, but a node has {channels} channels; "
                "allowed is what divides them: use more `channels`."
            )
        self.mixed = channels // partial_channels
        self.partial_channels = partial_channels
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
                self.mixed,
                stride if source < inputs else 1,
                pool_norm=pool_norm,
            )
            for source, rows in enumerate(self._leaving)
        )

    def plan(self, weights: torch.Tensor, computed: torch.Tensor, *, look: bool) -> Plan:
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
            look=look,
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
        passing: list[list[torch.Tensor]] = [[] for _ in range(self.nodes)]
        for source, mixture in enumerate(self.mixtures):
            if source >= self.inputs:
                values.append(self._joined(_sum(arriving[source], size), passing[source]))
            x, rows = values[source], self._leaving[source]
            for target, edge in zip(
                self._targets[source], mixture(self._part(x), weights[rows]), strict=True
            ):
                arriving[target].append(edge)
            if self.partial_channels > 1:
                rest = self._rest(x, source)
                for target, factor in zip(
                    self._targets[source], weights[rows].sum(dim=1), strict=True
                ):
                    passing[target].append(rest * factor)
        values.append(self._joined(_sum(arriving[-1], size), passing[-1]))
        return [values[node] for node in self.outputs]

    def planned(
        self, inputs: Mapping[int, torch.Tensor], weights: torch.Tensor, plan: Plan
    ) -> list[torch.Tensor | None]:
        """Compute what a plan says, edge by edge, and nothing else.

        Args:
            inputs: The values of the inputs that the plan reads, `B C H W` each.
            weights: The weight of each operation on each edge, `edges operations`, or
                `B edges operations`.
            plan: What is to be computed.

        Returns:
            The values of the outputs, `B C H/stride W/stride` each; None where nothing arrives.
        """
        values = dict(inputs)
        sums: dict[int, torch.Tensor] = {}
        passing: dict[int, list[torch.Tensor]] = {}
        for source, live in sorted(plan.leaving.items()):
            mixture, rows = self.mixtures[source], self._leaving[source]
            assert isinstance(mixture, Mixture)
            if source in sums:
                values[source] = self._joined(sums[source], passing.get(source, []))
            x = values[source]
            positions = [(rows.index(edge.row), edge) for edge in live]
            found = mixture.on_edges(self._part(x), weights, positions)
            for edge, value in zip(live, found, strict=True):
                known = sums.get(edge.target)
                sums[edge.target] = value if known is None else known + value
            if self.partial_channels > 1:
                rest = self._rest(x, source)
                for edge in live:
                    factor = as_factor(weights[..., edge.row, :].sum(dim=-1))
                    passing.setdefault(edge.target, []).append(rest * factor)
        return [
            self._joined(sums[node], passing.get(node, [])) if node in sums else None
            for node in self.outputs
        ]

    def _part(self, x: torch.Tensor) -> torch.Tensor:
        """The channels of a node that go through the operations."""
        return x if self.partial_channels == 1 else x[:, : self.mixed]

    def _rest(self, x: torch.Tensor, source: int) -> torch.Tensor:
        """The channels of a node that pass its edges."""
        rest = x[:, self.mixed :]
        strided = self.stride == 2 and source < self.inputs
        return F.max_pool2d(rest, 2, ceil_mode=True) if strided else rest

    def _joined(self, mixed: torch.Tensor, passing: Sequence[torch.Tensor]) -> torch.Tensor:
        """A node of the channels that were mixed and of those that passed."""
        if not passing:
            return mixed
        whole = torch.cat([mixed, reduce(torch.add, passing)], dim=1)
        return shuffle_channels(whole, self.partial_channels)


def shuffle_channels(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Deal the channels of `B C H W` out among groups: the first of each group come first."""
    batch, channels, height, width = x.shape
    grid = x.reshape(batch, groups, channels // groups, height, width)
    return grid.transpose(1, 2).reshape(x.shape)


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
