"""The operations with weights on the edges that leave one node: of one edge, or of all at once.

Each edge has parameters of its own, so that an edge that is not computed gets no gradient and no
step of an optimiser. For all edges at once (:meth:`StackedOperation.forward`) they are stacked
along the channels, edge by edge; the edges read the same values.

As in the published searches, no batch norm has weights: they would undo what the weights of the
architecture do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas.networks import operation
from optuna_nas.networks.layers import shifted_grid
from optuna_nas.supernets.depthwise import depthwise_conv
from optuna_nas.supernets.pointwise import PointwiseNorm, joined, split
from optuna_nas.supernets.views import NodeViews, as_images, as_rows


class StackedOperation(nn.Module, ABC):
    """One operation on E edges that leave the same node, each with weights of its own.

    Attributes:
        edges: The number of edges.
    """

    edges: int

    @abstractmethod
    def forward(self, node: NodeViews, scale: torch.Tensor) -> torch.Tensor:
        """Compute the operation on all edges.

        Args:
            node: The node that the edges leave.
            scale: What the result of each edge is multiplied with, `E`.

        Returns:
            `R E C`, the rows being the pixels of `B H/stride W/stride`, or of the four phases of
            these images if :meth:`in_phases`.
        """

    @abstractmethod
    def on_edge(self, node: NodeViews, edge: int) -> torch.Tensor:
        """Compute the operation on one edge, in plain layers: `B C H/stride W/stride`.

        Args:
            node: The node that the edge leaves.
            edge: Its position among the edges.
        """

    def in_phases(self, node: NodeViews) -> bool:
        """Whether the result is split into phases, for the sum of many such to be joined once."""
        return False


StackedFactory: TypeAlias = Callable[[int, int, int], StackedOperation]
"""Builds a stacked operation from `(edges, channels, stride)`."""


class StackedSeparable(StackedOperation):
    """ReLU, depthwise, pointwise, batch norm, twice; the first half takes the stride.

    Args:
        edges: The number of edges.
        channels: Channels of an edge.
        stride: 1 or 2.
        kernel_size: Side of the depthwise kernels.
    """

    def __init__(self, edges: int, channels: int, stride: int, *, kernel_size: int) -> None:
        super().__init__()
        self.edges = edges
        self.stride = stride
        self.depthwise_1 = _depthwise_weights(edges, channels, kernel_size)
        self.pointwise_1 = PointwiseNorm(edges, channels)
        self.depthwise_2 = _depthwise_weights(edges, channels, kernel_size)
        self.pointwise_2 = PointwiseNorm(edges, channels)

    def forward(self, node: NodeViews, scale: torch.Tensor) -> torch.Tensor:
        """Compute the operation on all edges."""
        first, second = joined(self.depthwise_1), joined(self.depthwise_2)
        x = depthwise_conv(node.repeated, first, self.stride)  # B E*C H/s W/s
        hidden = as_images(self.pointwise_1(as_rows(x, node.edges)), x.shape[2:])
        x = depthwise_conv(torch.relu(hidden), second)
        out: torch.Tensor = self.pointwise_2(as_rows(x, node.edges), scale)
        return out

    def on_edge(self, node: NodeViews, edge: int) -> torch.Tensor:
        """Compute the operation on one edge."""
        x = depthwise_conv(node.relu, self.depthwise_1[edge], self.stride)  # B C H/s W/s
        hidden = self.pointwise_1.on_edge(x, edge)
        x = depthwise_conv(torch.relu(hidden), self.depthwise_2[edge])
        return self.pointwise_2.on_edge(x, edge)


class StackedDilated(StackedOperation):
    """ReLU, depthwise with dilation 2, pointwise, batch norm.

    Args:
        edges: The number of edges.
        channels: Channels of an edge.
        stride: 1 or 2.
        kernel_size: Side of the depthwise kernels.
    """

    def __init__(self, edges: int, channels: int, stride: int, *, kernel_size: int) -> None:
        super().__init__()
        self.edges = edges
        self.stride = stride
        self.depthwise = _depthwise_weights(edges, channels, kernel_size)
        self.pointwise = PointwiseNorm(edges, channels)

    def in_phases(self, node: NodeViews) -> bool:
        """With stride 1, wherever the sides are even."""
        return self.stride == 1 and node.has_phases

    def forward(self, node: NodeViews, scale: torch.Tensor) -> torch.Tensor:
        """Compute the operation on all edges."""
        weight = joined(self.depthwise)
        if self.in_phases(node):
            x = depthwise_conv(node.phases, weight)  # 4B E*C H/2 W/2
        elif self.stride == 2:
            x = depthwise_conv(node.every_second, weight)  # B E*C H/2 W/2
        else:
            x = _dilated(node.repeated, weight)  # B E*C H W
        out: torch.Tensor = self.pointwise(as_rows(x, node.edges), scale)
        return out

    def on_edge(self, node: NodeViews, edge: int) -> torch.Tensor:
        """Compute the operation on one edge."""
        weight = self.depthwise[edge]
        if self.stride == 2:
            x = depthwise_conv(node.relu[:, :, ::2, ::2], weight)  # B C H/2 W/2
        else:
            x = _dilated(node.relu, weight)  # B C H W
        return self.pointwise.on_edge(x, edge)


class StackedConv(StackedOperation):
    """ReLU, convolution, batch norm.

    Args:
        edges: The number of edges.
        channels: Channels of an edge.
        stride: 1 or 2.
        kernel_size: Side of the kernels.
    """

    def __init__(self, edges: int, channels: int, stride: int, *, kernel_size: int) -> None:
        super().__init__()
        self.edges = edges
        self.stride = stride
        conv = nn.Conv2d(channels, edges * channels, kernel_size, bias=False)
        self.conv = split(conv.weight.to(memory_format=torch.channels_last), edges)
        self.norm = _ScaledNorm(edges, channels)

    def forward(self, node: NodeViews, scale: torch.Tensor) -> torch.Tensor:
        """Compute the operation on all edges."""
        return as_rows(self.norm(self._convolved(node, joined(self.conv)), scale), node.edges)

    def on_edge(self, node: NodeViews, edge: int) -> torch.Tensor:
        """Compute the operation on one edge."""
        return self.norm.on_edge(self._convolved(node, self.conv[edge]), edge)

    def _convolved(self, node: NodeViews, weight: torch.Tensor) -> torch.Tensor:
        size = weight.shape[-1]
        if size == 1:  # see `networks.strided_pointwise`
            return F.conv2d(node.relu[:, :, :: self.stride, :: self.stride], weight)
        return F.conv2d(node.relu, weight, stride=self.stride, padding=size // 2)


class StackedReduction(StackedOperation):
    """The `skip_connect` of stride 2: two 1x1 convolutions, the second shifted by a pixel.

    Args:
        edges: The number of edges.
        channels: Channels of an edge; at least 2.

    Raises:
        ValueError: There are fewer than two channels.
    """

    def __init__(self, edges: int, channels: int) -> None:
        super().__init__()
        self.edges = edges
        if channels < 2:
            raise ValueError(f"`channels` is {channels}; allowed is 2 or more.")
        half = channels // 2
        self.conv = split(nn.Conv2d(channels, edges * half, 1, bias=False).weight, edges)
        shifted = nn.Conv2d(channels, edges * (channels - half), 1, bias=False)
        self.shifted_conv = split(shifted.weight, edges)
        self.norm = _ScaledNorm(edges, channels)

    def forward(self, node: NodeViews, scale: torch.Tensor) -> torch.Tensor:
        """Compute the operation on all edges."""
        first, second = self._halves(node, joined(self.conv), joined(self.shifted_conv))
        halves = [as_rows(first, node.edges), as_rows(second, node.edges)]
        images = as_images(torch.cat(halves, dim=2), first.shape[2:])  # B E*C H/2 W/2
        return as_rows(self.norm(images, scale), node.edges)

    def on_edge(self, node: NodeViews, edge: int) -> torch.Tensor:
        """Compute the operation on one edge."""
        halves = self._halves(node, self.conv[edge], self.shifted_conv[edge])
        return self.norm.on_edge(torch.cat(halves, dim=1), edge)

    def _halves(
        self, node: NodeViews, weight: torch.Tensor, shifted_weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        halves = node.relu[:, :, ::2, ::2], shifted_grid(node.relu)
        return F.conv2d(halves[0], weight), F.conv2d(halves[1], shifted_weight)


class StackedModules(StackedOperation):
    """Any registered operation, one module for each edge; its batch norms lose their weights.

    Args:
        modules: The operation on each edge.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.edges = len(modules)
        self.modules_by_edge = nn.ModuleList(without_norm_weights(module) for module in modules)

    def forward(self, node: NodeViews, scale: torch.Tensor) -> torch.Tensor:
        """Compute the operation on all edges."""
        results = [module(node.values) for module in self.modules_by_edge]  # E of B C H/s W/s
        return torch.stack([as_rows(x, 1)[:, 0] for x in results], dim=1) * scale[:, None]

    def on_edge(self, node: NodeViews, edge: int) -> torch.Tensor:
        """Compute the operation on one edge."""
        out: torch.Tensor = self.modules_by_edge[edge](node.values)
        return out


class _ScaledNorm(nn.BatchNorm2d):
    """Batch norm of stacked edges; the factor of an edge stands where weights would."""

    def __init__(self, edges: int, channels: int) -> None:
        super().__init__(edges * channels, affine=False)
        self.channels = channels

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return self._normed(x, slice(None), scale.repeat_interleave(self.channels))

    def on_edge(self, x: torch.Tensor, edge: int) -> torch.Tensor:
        """Normalise one edge, `B C H W`; the statistics of the others stay."""
        return self._normed(x, slice(edge * self.channels, (edge + 1) * self.channels), None)

    def _normed(
        self, x: torch.Tensor, channels: slice, weight: torch.Tensor | None
    ) -> torch.Tensor:
        assert self.running_mean is not None and self.running_var is not None
        live = not self.training or self.track_running_stats
        return F.batch_norm(
            x,
            self.running_mean[channels] if live else None,
            self.running_var[channels] if live else None,
            weight,
            training=self.training,
            momentum=self.momentum or 0.0,
            eps=self.eps,
        )


def without_norm_weights(module: nn.Module) -> nn.Module:
    """Take the weights from every batch norm in a module, in place."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.affine = False
            part.register_parameter("weight", None)
            part.register_parameter("bias", None)
    return module


def normalised_pool(pool: nn.Module, channels: int) -> nn.Module:
    """A pooling followed by batch norm, as in the search of DARTS."""
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))


def _depthwise_weights(edges: int, channels: int, kernel_size: int) -> nn.ParameterList:
    bound = 1 / kernel_size  # as torch initialises convolutions
    weight = torch.empty(edges * channels, 1, kernel_size, kernel_size)
    return split(weight.uniform_(-bound, bound), edges)


def _dilated(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    padding = 2 * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, padding=padding, dilation=2, groups=len(weight))


_STACKED: Mapping[str, StackedFactory] = {
    "nor_conv_1x1": partial(StackedConv, kernel_size=1),
    "nor_conv_3x3": partial(StackedConv, kernel_size=3),
    "sep_conv_3x3": partial(StackedSeparable, kernel_size=3),
    "sep_conv_5x5": partial(StackedSeparable, kernel_size=5),
    "sep_conv_7x7": partial(StackedSeparable, kernel_size=7),
    "dil_conv_3x3": partial(StackedDilated, kernel_size=3),
    "dil_conv_5x5": partial(StackedDilated, kernel_size=5),
}


def stacked_operation(name: str, edges: int, channels: int, stride: int) -> StackedOperation:
    """Build an operation with weights for all edges that leave a node.

    Args:
        name: A registered operation.
        edges: The number of edges.
        channels: Channels of an edge.
        stride: 1 or 2.

    Raises:
        ValueError: No operation has the name.
    """
    if name in _STACKED:
        return _STACKED[name](edges, channels, stride)
    if name == "skip_connect" and stride == 2:
        return StackedReduction(edges, channels)
    return StackedModules([operation(name)(channels, channels, stride) for _ in range(edges)])
