"""From a search space to its supernet: the interface, and the table by the type of space.

A supernet is a network whose edges carry every operation at once. It is called with images and
with the weights of the operations, one matrix `edges operations` for each kind of cell. So
anything can provide these: free parameters under a relaxation, a hypernetwork, a sample; and the
weights of edges are a factor of theirs.

There are two executions of the same parameters, equal up to rounding (see `mixture`):

- *fused*: all operations at once, fast on a CPU;
- *plain*: edge by edge, only the operations that have a weight. The others are not computed, get
  no gradient, so no optimiser moves them, and their running statistics stay.

The supernet of a new space is one new file with a class in it::

    @register_supernet(MySpace, channels=16, cells=8)
    class MySupernet(Supernet): ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, TypeVar

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from optuna_nas._checks import checked_integer
from optuna_nas.networks.initial_weights import weights_from
from optuna_nas.networks.strided_pointwise import without_strided_kernels
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.supernets.cell import MixedCell
from optuna_nas.supernets.derivation import edge_operations
from optuna_nas.supernets.places import Place, places_of_cells
from optuna_nas.supernets.plan import Edge, Plan
from optuna_nas.supernets.pointwise import PointwiseNorm

Weights: TypeAlias = Mapping[str, torch.Tensor]
"""For each kind of cell the weight of each operation on each edge, `edges operations`."""


@dataclass(frozen=True, kw_only=True)
class SupernetSize:
    """How large a supernet is; checked and complete.

    Attributes:
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: The width, in the sense of the space's publication.
        cells: The depth, in the sense of the space's publication.
        partial_channels: Of so many channels one goes through the operations (see `cell`).
    """

    num_classes: int
    in_channels: int
    channels: int
    cells: int
    partial_channels: int = 1


_DENSE = 0.5
"""Above this share of all operations the fused execution is used unless told otherwise: it takes
0.35 to 0.45 of the time of all operations one by one."""


class Supernet(nn.Module, ABC):
    """A network that holds all architectures of a space.

    Args:
        space: The space.
        size: How large it is.

    Attributes:
        space: The space.
        size: How large it is.
        edges: The edges of each kind of cell, in the order of the weights' rows.
        operations: The operations, in the order of the weights' columns.
        plain: Whether the plain execution is used; None where at most half of the operations have
            a weight.
        sampled: Whether the plain execution looks which operations have a weight, for which a GPU
            is waited for; if not, it computes all.
        never_derived: Operations that :meth:`derive` never chooses, whatever their weights.
    """

    never_derived: ClassVar[frozenset[str]] = frozenset()
    space: SearchSpace
    edges: Mapping[str, tuple[Edge, ...]]
    operations: tuple[str, ...]
    plain: bool | None = None
    sampled: bool = True

    @abstractmethod
    def __init__(self, space: SearchSpace, size: SupernetSize) -> None:
        super().__init__()
        self.size = size

    @abstractmethod
    def forward(
        self, images: torch.Tensor, weights: Weights, computed: Weights | None = None
    ) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`.

        Args:
            images: The images.
            weights: For each kind of cell the weight of each operation on each edge,
                `edges operations`, or, in the plain execution, `B edges operations`.
            computed: Which operations the plain execution computes; None for those whose weight is
                not zero. A weight that is not computed gets no gradient.
        """

    @abstractmethod
    def derive(self, weights: Weights) -> Architecture:
        """Return the architecture that these weights stand for, by the published rule."""

    def encode(self, architecture: Architecture) -> dict[str, torch.Tensor]:
        """The weights that are one architecture: one for each of its operations, else zero.

        Args:
            architecture: An architecture of the space, or of one with the same edges.

        Returns:
            For each kind of cell `edges operations`.

        Raises:
            ValueError: The architecture has an edge or an operation that the supernet lacks, or
                no operations on edges.
        """
        chosen = edge_operations(architecture)
        if not chosen:
            raise ValueError(
                f"`architecture` is {architecture}, which has no operations on edges."
            )
        weights = {
            kind: torch.zeros(len(edges), len(self.operations))
            for kind, edges in self.edges.items()
        }
        for (cell, edge), operation in chosen.items():
            kind = cell or next(iter(self.edges))
            if edge not in self.edges.get(kind, ()) or operation not in self.operations:
                raise ValueError(
                    f"`architecture` is {architecture}, whose edge {edge} with {operation!r} is "
                    "none of the supernet."
                )
            row, column = self.edges[kind].index(edge), self.operations.index(operation)
            weights[kind][row, column] = 1.0
        return weights

    def places(self, image_shape: Sequence[int]) -> list[Place]:
        """Where operations stand in the network.

        Args:
            image_shape: The axes `(C, H, W)` of an image.
        """
        return places_of_cells(self, image_shape)

    def _plans(
        self, cells: Mapping[str, MixedCell], weights: Weights, computed: Weights | None
    ) -> dict[str, Plan] | None:
        """What each kind of cell computes; None for the fused execution."""
        if self.plain is False:
            return None
        look = self.sampled or self.plain is None
        if computed is None and not look:
            shapes = {kind: weights[kind].shape[-2:] for kind in cells}
            computed = {kind: torch.ones(shape) for kind, shape in shapes.items()}
        elif computed is None:
            computed = {kind: weights[kind].detach() != 0 for kind in cells}
            computed = {k: c.any(dim=0) if c.ndim == 3 else c for k, c in computed.items()}
        if self.plain is None:
            shares = torch.cat([computed[kind].flatten() for kind in cells]).float()
            if float(shares.mean()) > _DENSE:
                return None
        return {
            kind: cell.plan(weights[kind], computed[kind], look=look)
            for kind, cell in cells.items()
        }


_Factory = TypeVar("_Factory", bound=type[Supernet])

_SUPERNETS: dict[type[SearchSpace], tuple[type[Supernet], int, int]] = {}


def register_supernet(
    space: type[SearchSpace], *, channels: int, cells: int
) -> Callable[[_Factory], _Factory]:
    """Say which supernet a space, and its subclasses, have.

    Args:
        space: The class of the space.
        channels: The published width, used when `build_supernet` is given none.
        cells: The published depth, used when `build_supernet` is given none.

    Returns:
        A decorator for the class. The same definition may be registered again, as when a notebook
        cell is run twice.

    Raises:
        ValueError: The space has another supernet.
    """

    def register(supernet: _Factory) -> _Factory:
        known = _SUPERNETS.get(space)
        if known is not None and _definition(known[0]) != _definition(supernet):
            raise ValueError(
                f"`space` is {space.__name__}, which has the supernet {known[0].__name__} "
                "already; register one for a subclass of it."
            )
        _SUPERNETS[space] = supernet, channels, cells
        return supernet

    return register


def _definition(supernet: type[Supernet]) -> tuple[str, str]:
    return supernet.__module__, supernet.__qualname__


def build_supernet(
    space: SearchSpace,
    *,
    num_classes: int,
    in_channels: int = 3,
    channels: int | None = None,
    cells: int | None = None,
    partial_channels: int = 1,
    generator: torch.Generator | None = None,
) -> Supernet:
    """Build the supernet of a space, by default in its published size.

    - `DARTSSpace`: `channels` (16) in a node of the first cells, `cells` (8) in all.
    - `CellSpace`: `channels` (16) in the first of three stages, `cells` (5) in each stage.
    - `EdgeNESSpace`: `channels` (10) in a node of the first cell, `cells` (1) in all.
    - `ChainSpace`: `channels` (16) is what 16 channels of the space become, `cells` is 1.

    Args:
        space: The space.
        num_classes: The number of logits.
        in_channels: Channels of the images, `B in_channels H W`.
        channels: The width; see the table.
        cells: The depth; see the table.
        partial_channels: Of so many channels one goes through the operations (see `cell`).
        generator: A generator on the CPU that the initial weights are drawn with; None means
            torch's default generator. With one, build on the CPU and move the network afterwards.

    Raises:
        TypeError: The space has no supernet.
        ValueError: A number is not a positive integer, an operation is unknown, or the channels
            cannot be divided.
    """
    found = next((_SUPERNETS[t] for t in type(space).__mro__ if t in _SUPERNETS), None)
    if found is None:
        raise TypeError(
            f"`space` is {space!r}, which has no supernet; supernets are known for "
            f"{[t.__name__ for t in _SUPERNETS]}. Add one with "
            "`optuna_nas.supernets.register_supernet`."
        )
    supernet, default_channels, default_cells = found
    size = SupernetSize(
        num_classes=checked_integer("num_classes", num_classes),
        in_channels=checked_integer("in_channels", in_channels),
        channels=checked_integer("channels", default_channels if channels is None else channels),
        cells=checked_integer("cells", default_cells if cells is None else cells),
        partial_channels=checked_integer("partial_channels", partial_channels),
    )
    with weights_from(generator):
        network = supernet(space, size)
    convert_conv2d_weight_memory_format(network, torch.channels_last)
    without_strided_kernels(network)
    return network


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norm as they are, while batches go through.

    Only steps of the network's weights should move them: the steps of the architecture look at
    the same batches again, and at weights that are then put back.
    """
    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm2d, PointwiseNorm))]
    tracked = [norm.track_running_stats for norm in norms]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm, tracks in zip(norms, tracked, strict=True):
            norm.track_running_stats = tracks
