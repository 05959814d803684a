"""Where the operations of a supernet stand: what each of them would be in a derived network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from optuna_nas.networks import operation
from optuna_nas.supernets.cell import MixedCell

if TYPE_CHECKING:
    from optuna_nas.supernets.supernet import Supernet


class Place(NamedTuple):
    """A position of a network at which one of the operations stands.

    A cell that stands several times in the network has places for each of its copies.

    Attributes:
        kind: The kind of the cell.
        row: The row of its weights, an edge of `Supernet.edges[kind]`.
        shape: The axes `(C, H, W)` of what the operation reads.
        build: Builds the operation of a name as a derived network has it here.
    """

    kind: str
    row: int
    shape: tuple[int, int, int]
    build: Callable[[str], nn.Module]


def places_of_cells(supernet: Supernet, image_shape: Sequence[int]) -> list[Place]:
    """The places of a supernet that is made of `MixedCell`.

    Args:
        supernet: The supernet; it is left as it was.
        image_shape: The axes `(C, H, W)` of an image.
    """
    like = next(supernet.parameters())
    weights = {
        kind: torch.ones(len(edges), len(supernet.operations)).to(like)
        for kind, edges in supernet.edges.items()
    }
    found: list[Place] = []

    def note(cell: nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(cell, MixedCell)
        inputs, own = arguments
        [kind] = (kind for kind, given in weights.items() if given is own)
        height, width = inputs[0].shape[2:]
        for row, (source, _) in enumerate(cell.edges):
            strided = cell.stride == 2 and source < cell.inputs
            inner = 1 if source < cell.inputs else cell.stride
            shape = cell.channels, -(-height // inner), -(-width // inner)
            build = partial(_build, channels=cell.channels, stride=2 if strided else 1)
            found.append(Place(kind, row, shape, build))

    hooks = [
        module.register_forward_pre_hook(note)
        for module in supernet.modules()
        if isinstance(module, MixedCell)
    ]
    training, plain = supernet.training, supernet.plain
    try:
        supernet.eval().plain = False
        with torch.no_grad():
            supernet(torch.zeros(1, *image_shape).to(like), weights)
    finally:
        for hook in hooks:
            hook.remove()
        supernet.train(training).plain = plain
    return found


def _build(name: str, channels: int, stride: int) -> nn.Module:
    return operation(name)(channels, channels, stride)
