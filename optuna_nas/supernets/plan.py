"""Which operations of a cell are computed, when not all are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from optuna_nas.networks.liveness import live_edges

Edge = tuple[int, int]
"""An edge of a cell: its source and its target."""


class LiveEdge(NamedTuple):
    """An edge that is computed.

    Attributes:
        row: Its row in the matrix of the weights.
        target: The node that it runs to.
        columns: Its operations that are computed.
        whole: Those of them whose weight is one, and no number to be learnt.
    """

    row: int
    target: int
    columns: tuple[int, ...]
    whole: frozenset[int]


@dataclass(frozen=True)
class Plan:
    """The edges of a cell that are computed, on some way from an input to an output.

    Attributes:
        leaving: By node, the live edges that leave it; nodes that nothing is read of are left out.
    """

    leaving: dict[int, list[LiveEdge]]

    @classmethod
    def of(
        cls,
        weights: torch.Tensor,
        computed: torch.Tensor,
        edges: Sequence[Edge],
        *,
        inputs: int,
        outputs: Collection[int],
        absent: Collection[int],
        look: bool,
    ) -> Plan:
        """Find what is to be computed.

        Args:
            weights: The weight of each operation on each edge, `edges operations`, or
                `B edges operations`.
            computed: Which operations are wanted, `edges operations`.
            edges: The edges of the cell.
            inputs: How many nodes are inputs.
            outputs: The nodes whose value is wanted.
            absent: The columns of operations that are no connection.
            look: Whether weights that are one are looked for.
        """
        wanted = computed.tolist()
        look = look and not weights.requires_grad and weights.ndim == 2
        values = weights.tolist() if look else []
        present = {
            row: tuple(c for c, want in enumerate(line) if want and c not in absent)
            for row, line in enumerate(wanted)
        }
        rows = [row for row, columns in present.items() if columns]
        leaving: dict[int, list[LiveEdge]] = {}
        for position in live_edges([edges[row] for row in rows], range(inputs), outputs):
            row = rows[position]
            source, target = edges[row]
            ones = present[row] if look else ()
            whole = frozenset(column for column in ones if values[row][column] == 1.0)
            leaving.setdefault(source, []).append(LiveEdge(row, target, present[row], whole))
        return cls(leaving)
