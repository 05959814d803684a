"""What the operations on the edges of one node read, each form of it computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch

from optuna_nas.supernets.depthwise import split_phases


class NodeViews:
    """The values of a node, and the forms in which the edges that leave it read them.

    Args:
        values: `B C H W`.
        edges: The number of edges E that leave the node.

    Attributes:
        values: `B C H W`.
        edges: The number of edges.
    """

    def __init__(self, values: torch.Tensor, edges: int) -> None:
        self.values = values
        self.edges = edges

    @cached_property
    def relu(self) -> torch.Tensor:
        """The positive part, `B C H W`."""
        return torch.relu(self.values)

    @cached_property
    def repeated(self) -> torch.Tensor:
        """The positive part, once for each edge: `B E*C H W`."""
        return self._repeat(self.relu)

    @cached_property
    def every_second(self) -> torch.Tensor:
        """Every second row and column of :attr:`repeated`: `B E*C H/2 W/2`, rounded up."""
        return self._repeat(self.relu[:, :, ::2, ::2])

    @property
    def has_phases(self) -> bool:
        """Whether the sides are even, so that :attr:`phases` exist."""
        return self.values.shape[2] % 2 == 0 and self.values.shape[3] % 2 == 0

    @cached_property
    def phases(self) -> torch.Tensor:
        """The four phases of :attr:`repeated`: `4B E*C H/2 W/2`."""
        return self._repeat(split_phases(self.relu))

    def _repeat(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        return x if self.edges == 1 else torch.cat([x] * self.edges, dim=1)


def as_rows(images: torch.Tensor, edges: int) -> torch.Tensor:
    """See `B E*C H W` as `R E C`, one row for each pixel; a view in channels-last order."""
    return images.permute(0, 2, 3, 1).reshape(-1, edges, images.shape[1] // edges)


def as_images(rows: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """See `R ...` as `B C H W`, with `size` the height and the width of an image; a view."""
    height, width = size
    return rows.reshape(-1, height, width, rows[0].numel()).permute(0, 3, 1, 2)
