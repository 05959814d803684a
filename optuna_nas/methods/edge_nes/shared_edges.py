"""How many edges an architecture shares with another one: counted, and as a smooth function.

An edge is shared where both architectures have it, with the same operation on it.

- :func:`common_edges` counts them.
- :meth:`SharedEdges.soft` draws a relaxed architecture from its parameters and counts there: the
  sum over the edges of the other one of the sampled weight of the edge times that of its
  operation. At a low temperature a sample is nearly discrete, and so is the count.

Samples are Gumbel-softmax.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.

*Departures*: the published code blurs the operations of the optimum, 0.99 on the one it has and
0.01 spread over all. Its count of the optimum against itself then is 0.991 times the number of
edges, and a penalty would push away from full agreement. Here nothing is blurred. Spaces whose
nodes keep several edges, k, have a sample too: a sigmoid of how far each noisy parameter is above
the middle between the k-th and the next one; at a low temperature that is, as for one edge, a
choice without replacement.

In such spaces the count is not the rule by which architectures are derived. In DARTSSpace the
edges of a node are sampled by the weights of edges alone; the derivation keeps the two edges with
the largest weight of an operation, times that of the edge. An operation that is never derived,
`none` there, is never sampled either: else a large `none` would look as if nothing were shared,
and the derived cell would still have what is second to it. In cell spaces every edge is kept, so
that the weights of edges change neither the count nor the derived cell, only the loss of the
supernet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from optuna_nas.methods.parameters import rows_by_target
from optuna_nas.methods.relaxation import gumbel_noise
from optuna_nas.supernets.derivation import edge_operations

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets.supernet import Supernet


def common_edges(first: Architecture, second: Architecture) -> int:
    """Count the edges that two architectures share.

    Args:
        first: An architecture of a space with operations on edges.
        second: Another one of the same space.

    Raises:
        ValueError: The architectures are of different spaces.
    """
    if first.space != second.space:
        raise ValueError(
            f"`second` is of {second.space!r}; allowed are architectures of {first.space!r}."
        )
    return len(edge_operations(first).items() & edge_operations(second).items())


class SharedEdges:
    """The edges of one architecture, the optimum, for others to share.

    Args:
        optimum: The architecture.
        supernet: The supernet whose architectures share edges with it.

    Attributes:
        optimum: The architecture.
        edges: The edges of each kind of cell.
        operations: The operations.
        total: How many edges the optimum has, Λ.

    Raises:
        ValueError: The optimum has an edge or an operation that the supernet lacks, an operation
            that its derivation never chooses, or none on edges.
    """

    def __init__(self, optimum: Architecture, supernet: Supernet) -> None:
        self.optimum = optimum
        self.edges = dict(supernet.edges)
        self.operations = supernet.operations
        self._never = torch.tensor([name in supernet.never_derived for name in self.operations])
        self._target = supernet.encode(optimum)
        self.total = int(sum(target.sum() for target in self._target.values()))
        present = torch.stack([target.sum(dim=0) for target in self._target.values()]).sum(dim=0)
        for name in (n for n, there in zip(self.operations, present, strict=True) if there):
            if name in supernet.never_derived:
                allowed = [n for n in self.operations if n not in supernet.never_derived]
                raise ValueError(
                    f"`optimum` is {optimum}, which has {name!r}, which "
                    f"{type(supernet).__name__} never derives; allowed are {allowed}."
                )

    def soft(
        self,
        operations: Mapping[str, torch.Tensor],
        switches: Mapping[str, torch.Tensor],
        temperature: float,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Count the shared edges of a relaxed sample; gradients flow through it.

        Args:
            operations: For each kind of cell the parameters of the operations, `edges operations`.
            switches: For each kind of cell the parameters of the edges, `edges`; without them
                every edge counts whole.
            temperature: The temperature of the samples.
            generator: Where random numbers come from, on the CPU.

        Returns:
            A number from 0 to `total`.
        """
        counts = []
        for kind, logits in operations.items():
            target = self._target[kind].to(logits)
            noisy = logits + gumbel_noise(logits, generator)
            # An edge is exported with another operation, however large the weight of such a one.
            noisy = noisy.masked_fill(self._never.to(logits.device), -torch.inf)
            shares = ((noisy / temperature).softmax(dim=1) * target).sum(dim=1)  # edges
            if kind in switches:
                shares = shares * self._switched(kind, switches[kind], temperature, generator)
            counts.append(shares.sum())
        return torch.stack(counts).sum()

    def _switched(
        self, kind: str, logits: torch.Tensor, temperature: float, generator: torch.Generator
    ) -> torch.Tensor:
        """A sample of which edges are kept, as many in each node as the optimum keeps: `edges`."""
        noisy = logits + gumbel_noise(logits, generator)
        kept = self._target[kind].sum(dim=1)
        # The edges are ordered by target, so the nodes' edges in turn are all edges in order.
        return torch.cat(
            [
                _subset(noisy[rows], int(kept[rows].sum()), temperature)
                for rows in rows_by_target(self.edges[kind])
            ]
        )


def _subset(noisy: torch.Tensor, size: int, temperature: float) -> torch.Tensor:
    """A relaxed choice of `size` of the entries."""
    if size >= len(noisy):
        return torch.ones_like(noisy)
    if size == 1:
        return (noisy / temperature).softmax(dim=0)
    ordered = noisy.sort(descending=True).values
    threshold = (ordered[size - 1] + ordered[size]) / 2
    return torch.sigmoid((noisy - threshold) / temperature)
