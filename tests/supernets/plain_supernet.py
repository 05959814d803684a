"""Supernets written plainly: every operation of every edge by itself, one after the other.

The reference that the batched supernets are compared with, in results and in time. `plain_copy`
builds one with the same weights; `parameter_pairs` says which weights correspond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import torch
from torch import nn

from optuna_nas.networks import operation
from optuna_nas.networks.layers import Zero
from optuna_nas.supernets.cell import MixedCell, cell_edges
from optuna_nas.supernets.cell_supernet import CellSupernet
from optuna_nas.supernets.darts_supernet import DARTSSupernet
from optuna_nas.supernets.edge_nes_supernet import EdgeNESSupernet
from optuna_nas.supernets.mixture import Mixture
from optuna_nas.supernets.operations import (
    StackedConv,
    StackedDilated,
    StackedModules,
    StackedOperation,
    StackedReduction,
    StackedSeparable,
    without_norm_weights,
)
from optuna_nas.supernets.pair_supernet import PairSupernet
from optuna_nas.supernets.pointwise import PointwiseNorm
from optuna_nas.supernets.supernet import Supernet, SupernetSize, Weights


class PlainEdge(nn.Module):
    """The weighted sum of all operations on one edge."""

    def __init__(self, names: Sequence[str], channels: int, stride: int, pool_norm: bool) -> None:
        super().__init__()
        self.operations = nn.ModuleList()
        for name in names:
            module = without_norm_weights(operation(name)(channels, channels, stride))
            if pool_norm and "pool" in name:
                module = nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))
            self.operations.append(module)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        terms: list[torch.Tensor] = [
            w * op(x) for w, op in zip(weights, self.operations, strict=True)
        ]
        return reduce(torch.add, terms)


class PlainCell(nn.Module):
    """A cell, edge by edge."""

    def __init__(
        self,
        inputs: int,
        nodes: int,
        names: Sequence[str],
        channels: int,
        stride: int,
        pool_norm: bool,
    ) -> None:
        super().__init__()
        self.inputs, self.nodes = inputs, nodes
        self.edges = nn.ModuleList(
            PlainEdge(names, channels, stride if source < inputs else 1, pool_norm)
            for source, _ in cell_edges(inputs, nodes)
        )

    def forward(self, inputs: Sequence[torch.Tensor], weights: torch.Tensor) -> list[torch.Tensor]:
        values = list(inputs)
        edges = iter(zip(self.edges, weights, strict=True))
        for target in range(self.inputs, self.nodes):
            terms = []
            for source in range(target):
                edge, row = next(edges)
                terms.append(edge(values[source], row))
            values.append(reduce(torch.add, terms))
        return values[self.inputs :]


def plain_copy(fast: Supernet, *, channels: int, in_channels: int = 3) -> Supernet:
    """Build a supernet of the same kind with the same weights, whose cells are plain."""
    assert isinstance(fast, (DARTSSupernet, EdgeNESSupernet, CellSupernet))
    depth = len(fast.cells) if isinstance(fast, PairSupernet) else (len(fast.stages) - 2) // 3
    size = SupernetSize(
        num_classes=fast.classifier.linear.out_features,
        in_channels=in_channels,
        channels=channels,
        cells=depth,
    )
    plain = type(fast)(fast.space, size)
    plain.load_state_dict(fast.state_dict())  # all but the cells stays as it is
    for name, module in list(plain.named_modules()):
        if isinstance(module, MixedCell):
            parent = plain.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], _plain_cell(module, fast.operations))
    plain.plain = False  # its cells know one execution only
    plain.to(next(fast.parameters()).dtype)
    with torch.no_grad():
        for part, read in parameter_pairs(plain, fast):
            part.copy_(read(lambda parameter: parameter))
    return plain


def _plain_cell(cell: MixedCell, names: Sequence[str]) -> PlainCell:
    mixture = cell.mixtures[0]
    assert isinstance(mixture, Mixture)
    pool_norm = any(isinstance(module, nn.Sequential) for module in mixture.shared)
    return PlainCell(cell.inputs, cell.nodes, names, cell.channels, cell.stride, pool_norm)


Reader = Callable[[Callable[[torch.Tensor], torch.Tensor]], torch.Tensor]
"""Reads one of the fused parameters, or of what another function makes of them."""


def parameter_pairs(plain: nn.Module, fast: nn.Module) -> Iterator[tuple[nn.Parameter, Reader]]:
    """Every parameter of the plain network, and how to read its counterpart."""
    cells = {name: m for name, m in plain.named_modules() if isinstance(m, PlainCell)}
    for name, parameter in plain.named_parameters():
        if not any(name.startswith(f"{cell}.") for cell in cells):
            yield parameter, _whole(fast.get_parameter(name))
    for name, cell in cells.items():
        mixed = fast.get_submodule(name)
        assert isinstance(mixed, MixedCell)
        for row, (source, target) in enumerate(cell_edges(cell.inputs, cell.nodes)):
            mixture, edge = mixed.mixtures[source], cell.edges[row]
            assert isinstance(mixture, Mixture) and isinstance(edge, PlainEdge)
            position = target - max(cell.inputs, source + 1)
            modules = [m for m in edge.operations if not isinstance(m, Zero) and _weights(m)]
            for module, stacked in zip(modules, mixture.stacked, strict=True):
                assert isinstance(stacked, StackedOperation)
                yield from zip(_weights(module), _slices(stacked, position), strict=True)


def _weights(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters())


def _slices(stacked: StackedOperation, edge: int) -> list[Reader]:
    """How to read each parameter of one edge of a stacked operation."""

    def matrix(layer: PointwiseNorm) -> Reader:
        return lambda see: see(layer.matrices[edge])[:, :, None, None]

    if isinstance(stacked, StackedSeparable):
        return [
            _whole(stacked.depthwise_1[edge]),
            matrix(stacked.pointwise_1),
            _whole(stacked.depthwise_2[edge]),
            matrix(stacked.pointwise_2),
        ]
    if isinstance(stacked, StackedDilated):
        return [_whole(stacked.depthwise[edge]), matrix(stacked.pointwise)]
    if isinstance(stacked, StackedConv):
        return [_whole(stacked.conv[edge])]
    if isinstance(stacked, StackedReduction):
        return [_whole(stacked.conv[edge]), _whole(stacked.shifted_conv[edge])]
    assert isinstance(stacked, StackedModules)
    return [_whole(parameter) for parameter in stacked.modules_by_edge[edge].parameters()]


def _whole(parameter: torch.Tensor) -> Reader:
    return lambda see: see(parameter)


def evenly(supernet: Supernet, seed: int = 0, dtype: torch.dtype = torch.float32) -> Weights:
    """Random weights of the operations that need a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return {
        kind: torch.randn(
            len(edges), len(supernet.operations), generator=generator, dtype=torch.float64
        )
        .softmax(1)
        .to(dtype)
        .requires_grad_()
        for kind, edges in supernet.edges.items()
    }
