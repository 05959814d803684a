"""The cell of a genotype: two inputs, nodes that add two operations each, all concatenated.

The two inputs are the outputs of the two cells before; a ReLU-1x1 convolution-BN brings each to
the cell's channels (a `FactorizedReduce` brings one that is still of the double resolution). The
operations on the two inputs of a reduction cell have stride 2. Such are the cells of NASNet,
AmoebaNet and DARTS.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from itertools import groupby

import torch
from torch import nn

from optuna_nas.networks.layers import FactorizedReduce, Zero, relu_conv_norm, zeros
from optuna_nas.networks.liveness import live_edges
from optuna_nas.networks.operations import operation


class PairCell(nn.Module):
    """A cell of two inputs whose nodes are sums of two operations each.

    Args:
        genes: `(operation, input)` pairs, two for each node. The inputs are 0 and 1 for the last
            cell but one and the last cell, then the cell's own nodes from 2 on.
        concat: The nodes that are concatenated.
        channels_in: Channels of the two inputs.
        channels: Channels of a node.
        reduction: Whether the cell halves the resolution.
        after_reduction: Whether input 0 still has twice the resolution of input 1.
        concatenating: The nodes that concatenate their two operations instead of adding them; a
            ReLU-1x1 convolution-BN brings the result back to the cell's channels.

    Raises:
        ValueError: An operation is unknown, or one reads a node that does not come before.
    """

    def __init__(
        self,
        genes: Sequence[tuple[str, int]],
        concat: Sequence[int],
        *,
        channels_in: tuple[int, int],
        channels: int,
        reduction: bool,
        after_reduction: bool,
        concatenating: Collection[int] = (),
    ) -> None:
        super().__init__()
        _check(genes, concat)
        self.channels = channels
        self.stride = 2 if reduction else 1
        self.concat = tuple(concat)
        self.preprocess = nn.ModuleList(
            [
                FactorizedReduce(channels_in[0], channels)
                if after_reduction
                else relu_conv_norm(channels_in[0], channels, kernel_size=1),
                relu_conv_norm(channels_in[1], channels, kernel_size=1),
            ]
        )
        self.operations = nn.ModuleList(
            operation(name)(channels, channels, self.stride if source < 2 else 1)
            for name, source in genes
        )
        connected = [
            (position, source, 2 + position // 2)
            for position, (_, source) in enumerate(genes)
            if not isinstance(self.operations[position], Zero)
        ]
        live = live_edges([edge[1:] for edge in connected], {0, 1}, self.concat)
        alive = [connected[i] for i in live]
        self._used_inputs = sorted({source for _, source, _ in alive if source < 2})
        self._incoming = [
            (target, [(position, source) for position, source, _ in edges])
            for target, edges in groupby(alive, key=lambda edge: edge[2])
        ]
        self.joins = nn.ModuleDict(
            {
                str(target): relu_conv_norm(2 * channels, channels, kernel_size=1)
                for target, incoming in self._incoming
                if target in concatenating and len(incoming) == 2
            }
        )

    def forward(
        self, before_last: torch.Tensor, last: torch.Tensor, path_scale: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the cell.

        Args:
            before_last: Output of the last cell but one, `B channels_in[0] 2H 2W` after a
                reduction, else `B channels_in[0] H W`.
            last: Output of the last cell, `B channels_in[1] H W`.
            path_scale: What the result of each operation is multiplied with, for drop-path:
                `operations B 1 1 1`, or None. Identities are not scaled.

        Returns:
            `B len(concat)*channels H/stride W/stride`.
        """
        inputs = (before_last, last)
        nodes = {i: self.preprocess[i](inputs[i]) for i in self._used_inputs}  # B channels H W
        for target, incoming in self._incoming:
            terms = []
            for position, source in incoming:
                module = self.operations[position]
                term = module(nodes[source])  # B channels H/stride W/stride
                if path_scale is not None and not isinstance(module, nn.Identity):
                    term = term * path_scale[position].to(term.dtype)
                terms.append(term)
            if str(target) in self.joins:
                nodes[target] = self.joins[str(target)](torch.cat(terms, dim=1))
            else:
                nodes[target] = reduce(torch.add, terms)
        for node in self.concat:
            if node not in nodes:
                nodes[node] = zeros(last, self.channels, self.stride)
        return torch.cat([nodes[node] for node in self.concat], dim=1)


def _check(genes: Sequence[tuple[str, int]], concat: Sequence[int]) -> None:
    """Refuse a cell that is not a graph of pairs."""
    nodes = range(2, 2 + len(genes) // 2)
    ordered = all(0 <= source < 2 + i // 2 for i, (_, source) in enumerate(genes))
    if len(genes) % 2 or not ordered:
        raise ValueError(
            f"`genes` is {genes!r}; allowed are pairs (operation, input), two for each node from "
            "2 on, with inputs below the node."
        )
    if not concat or not set(concat) <= set(nodes):
        raise ValueError(f"`concat` is {concat!r}; allowed are some of the nodes {list(nodes)}.")
