"""Measures what each operation of a supernet costs, in each place where it may stand.

1. An operation is built as a derived network has it, and measured alone on an input of the place.
   Equal operations on inputs of equal shape are measured once.
2. Networks of random architectures, of those whose operations all matter if there are such, are
   measured as a whole. The median of what they cost beside their operations is the base.

Reference: B. Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search", CVPR 2019, arXiv:1812.03443, section 3.4.

*Departures*: the paper leaves the base out, which a target for a whole network needs.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from optuna_nas.measures.cost_table import CostTable, place_label
from optuna_nas.measures.measure import Measure
from optuna_nas.networks import build_network
from optuna_nas.networks.layers import Zero
from optuna_nas.networks.strided_pointwise import without_strided_kernels

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Supernet

__all__ = ["network_cost", "network_of", "tabulate"]

_NETWORKS = 15
"""Networks that the base is measured on; it is common to all, so that few tell it."""


def tabulate(
    supernet: Supernet,
    image_shape: Sequence[int],
    measure: Measure,
    *,
    device: torch.device | None = None,
    seed: int = 0,
) -> CostTable:
    """Measure the operations of a supernet.

    Args:
        supernet: The supernet; it is not trained, only looked at.
        image_shape: The axes `(C, H, W)` of an image.
        measure: What to measure; a sum over the parts of a network.
        device: Where is measured; None for the CPU.
        seed: Seed of the architectures that the base is measured on.

    Raises:
        UserError: This machine cannot measure it.
        ValueError: The measure is no sum over the parts of a network.
    """
    if not measure.additive:
        raise ValueError(
            f"`measure` is {measure.name!r}, and that of a network is no sum over its parts."
        )
    places = supernet.places(image_shape)
    edges = supernet.edges
    rows = [place_label(place.kind, edges[place.kind][place.row]) for place in places]
    labels = tuple(dict.fromkeys(rows))
    values = np.zeros((len(labels), len(supernet.operations)))
    known: dict[tuple[str, tuple[int, int, int]], float] = {}
    for label, place in zip(rows, places, strict=True):
        for column, name in enumerate(supernet.operations):
            operation = place.build(name)
            key = repr(operation), place.shape
            if key not in known:
                known[key] = _cost(measure, operation, place.shape, device)
            values[labels.index(label), column] += known[key]
    table = CostTable(values, supernet.operations, labels, measure.name, measure.unit)
    return replace(table, base=_base(table, supernet, image_shape, measure, device, seed))


def network_cost(table: CostTable, supernet: Supernet, architecture: Architecture) -> float:
    """What a table says of a network: its base, and the operations that reach the output.

    Args:
        table: The table.
        supernet: The supernet that it is for.
        architecture: The architecture.

    Raises:
        ValueError: The table lacks a place or an operation.
    """
    return table.base + _sum(table, supernet, supernet.space.simplify(architecture))


def _sum(table: CostTable, supernet: Supernet, architecture: Architecture) -> float:
    costs, chosen = table.costs(supernet), supernet.encode(architecture)
    return sum(float((costs[kind] * chosen[kind].numpy()).sum()) for kind in chosen)


def network_of(supernet: Supernet, architecture: Architecture, seed: int = 0) -> nn.Module:
    """The network of an architecture in the size of a supernet, in evaluation mode.

    Args:
        supernet: The supernet.
        architecture: The architecture.
        seed: Seed of the weights.
    """
    size = supernet.size
    return build_network(
        architecture,
        num_classes=size.num_classes,
        in_channels=size.in_channels,
        channels=size.channels,
        cells=size.cells,
        generator=torch.Generator().manual_seed(seed),
    ).eval()


def _cost(
    measure: Measure,
    operation: nn.Module,
    shape: tuple[int, int, int],
    device: torch.device | None,
) -> float:
    if isinstance(operation, Zero):  # which networks leave out
        return 0.0
    alone = nn.Sequential(operation)
    convert_conv2d_weight_memory_format(alone, torch.channels_last)  # as networks have it
    without_strided_kernels(alone)
    image = torch.zeros(1, *shape, device=device)
    inputs = image.contiguous(memory_format=torch.channels_last)
    return measure(alone.to(device), inputs)


def _base(
    table: CostTable,
    supernet: Supernet,
    image_shape: Sequence[int],
    measure: Measure,
    device: torch.device | None,
    seed: int,
) -> float:
    image = torch.zeros(1, *image_shape, device=device)
    rest = []
    for architecture in _chosen(table, supernet, np.random.default_rng(seed)):
        whole = measure(network_of(supernet, architecture).to(device), image)
        rest.append(whole - network_cost(table, supernet, architecture))
    return max(statistics.median(rest), 0.0)


def _chosen(table: CostTable, supernet: Supernet, rng: np.random.Generator) -> list[Architecture]:
    """Random architectures; first those in which no operation is for nothing."""
    space = supernet.space
    drawn = [space.random(rng) for _ in range(20 * _NETWORKS)]

    def wasted(architecture: Architecture) -> bool:
        whole = _sum(table, supernet, architecture)
        return not np.isclose(whole, _sum(table, supernet, space.simplify(architecture)))

    return sorted(drawn, key=wasted)[:_NETWORKS]
