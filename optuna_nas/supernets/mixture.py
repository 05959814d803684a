"""The mixed operations on all edges that leave one node, in two executions.

An edge's value is the sum of all operations on its source, each times its weight. `none` adds
nothing and is left out. The same parameters are used in two ways:

- *fused* (:meth:`Mixture.forward`): all operations of all edges. Those without weights of their
  own are computed once and mixed for all edges by one small matrix product; the others are
  computed for all edges at once, with the factors folded into their last layer (see `operations`).
- *plain* (:meth:`Mixture.on_edges`): single operations of one edge, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import nn

from optuna_nas.networks import operation
from optuna_nas.networks.layers import Zero
from optuna_nas.supernets.operations import (
    StackedOperation,
    normalised_pool,
    stacked_operation,
)
from optuna_nas.supernets.plan import LiveEdge
from optuna_nas.supernets.views import NodeViews, as_rows

_POOLS = (nn.MaxPool2d, nn.AvgPool2d)


class EdgeValues(NamedTuple):
    """What one edge carries, in parts that are still to be summed.

    Attributes:
        pixels: Parts `R C` with one row for each pixel of `B H W`.
        phases: Parts whose rows are the pixels of the four phases (see `depthwise`).
    """

    pixels: list[torch.Tensor]
    phases: list[torch.Tensor]


class Mixture(nn.Module):
    """All operations on the E edges that leave one node.

    Args:
        operations: The names of the operations, in the order of the weights' columns.
        edges: The number of edges.
        channels: Channels of an edge.
        stride: 1 or 2.
        pool_norm: Whether a pooling is followed by batch norm, as in the search of DARTS.

    Attributes:
        absent: The columns of operations that are no connection.

    Raises:
        ValueError: An operation is unknown.
    """

    def __init__(
        self,
        operations: Sequence[str],
        edges: int,
        channels: int,
        stride: int = 1,
        *,
        pool_norm: bool = False,
    ) -> None:
        super().__init__()
        self.edges = edges
        self.shared = nn.ModuleList()
        self.stacked = nn.ModuleList()
        self.absent: set[int] = set()
        self._shared_columns: list[int] = []
        self._stacked_columns: list[int] = []
        for column, name in enumerate(operations):
            single = operation(name)(channels, channels, stride)
            if isinstance(single, Zero):
                self.absent.add(column)
                continue
            if next(single.parameters(), None) is not None:
                self.stacked.append(stacked_operation(name, edges, channels, stride))
                self._stacked_columns.append(column)
            else:
                normed = pool_norm and isinstance(single, _POOLS)
                self.shared.append(normalised_pool(single, channels) if normed else single)
                self._shared_columns.append(column)

    def forward(self, values: torch.Tensor, weights: torch.Tensor) -> list[EdgeValues]:
        """Compute what flows over the edges.

        Args:
            values: The values of the node, `B C H W`.
            weights: The weight of each operation on each edge, `E operations`.

        Returns:
            The parts of each edge's value.
        """
        node = NodeViews(values, self.edges)
        pixels: list[torch.Tensor] = []  # R E C
        phases: list[torch.Tensor] = []
        for column, module in zip(self._stacked_columns, self.stacked, strict=True):
            assert isinstance(module, StackedOperation)
            parts = phases if module.in_phases(node) else pixels
            parts.append(module(node, weights[:, column]))
        edges = [EdgeValues([], []) for _ in range(self.edges)]
        for stacked in [reduce(torch.add, pixels)] if pixels else []:
            for edge, part in zip(edges, stacked.unbind(dim=1), strict=True):
                edge.pixels.append(part)
        for stacked in [reduce(torch.add, phases)] if phases else []:
            for edge, part in zip(edges, stacked.unbind(dim=1), strict=True):
                edge.phases.append(part)
        if self.shared:
            for edge, part in zip(edges, self._mix_shared(values, weights), strict=True):
                edge.pixels.append(part)
        return edges

    def on_edges(
        self, values: torch.Tensor, weights: torch.Tensor, live: Sequence[tuple[int, LiveEdge]]
    ) -> list[torch.Tensor]:
        """Compute single operations of some edges, and nothing else.

        Args:
            values: The values of the node, `B C H W`.
            weights: The weight of each operation on each edge of the cell, `edges operations`,
                or `B edges operations`.
            live: The edges, each with its position among those that leave the node.

        Returns:
            The value of each edge, `B C H/stride W/stride`.
        """
        node = NodeViews(values, 1)
        shared: dict[int, torch.Tensor] = {}

        def operation(position: int, column: int) -> torch.Tensor:
            if column in self._stacked_columns:
                module = self.stacked[self._stacked_columns.index(column)]
                assert isinstance(module, StackedOperation)
                return module.on_edge(node, position)
            if column not in shared:
                shared[column] = self.shared[self._shared_columns.index(column)](values)
            return shared[column]

        found = []
        for position, edge in live:
            terms = []
            for column in edge.columns:
                term = operation(position, column)
                factor = as_factor(weights[..., edge.row, column])
                terms.append(term if column in edge.whole else term * factor)
            found.append(reduce(torch.add, terms))
        return found

    def _mix_shared(self, values: torch.Tensor, weights: torch.Tensor) -> Sequence[torch.Tensor]:
        """Mix the operations without weights of their own: `R C` for each edge."""
        results = torch.stack([as_rows(module(values), 1) for module in self.shared])  # K R 1 C
        mixed = weights[:, self._shared_columns] @ results.flatten(1)  # E R*C
        return mixed.view(self.edges, *results.shape[1:]).squeeze(2).unbind()


def as_factor(weights: torch.Tensor) -> torch.Tensor:
    """One weight, or one for each image `B`, as a factor of `B C H W`."""
    return weights if weights.ndim == 0 else weights[:, None, None, None]
