"""From the weights of the operations to an architecture, by the rules of the publications.

References: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055, section 2.4; X. Dong, Y. Yang, "NAS-Bench-201", ICLR 2020, arXiv:2001.00326;
P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from optuna_nas.spaces.folding import ZERO
from optuna_nas.supernets.plan import Edge

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture


def strongest_operations(weights: torch.Tensor, operations: Sequence[str]) -> list[str]:
    """Choose the operation of the largest weight on each edge, the first of equal ones.

    Args:
        weights: `edges operations`.
        operations: The operations, in the order of the columns.
    """
    return [operations[column] for column in weights.argmax(dim=1).tolist()]


def strongest_pairs(
    weights: torch.Tensor, edges: Sequence[Edge], operations: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """Choose two edges for each node, and one operation on each.

    1. On each edge, the operation of the largest weight is chosen, never `none`.
    2. Of the edges into a node, the two with the largest such weights are kept.

    The weight of `none` only counts in that it leaves less for the others. Of equal weights, the
    operation that stands first and the lower input win.

    Args:
        weights: `edges operations`.
        edges: The edges, in the order of the rows.
        operations: The operations, in the order of the columns.

    Returns:
        Pairs of an operation and an input: two for each node in turn, the stronger one first.
    """
    columns = [column for column, name in enumerate(operations) if name != ZERO]
    strengths, best = weights[:, columns].max(dim=1)
    chosen: list[tuple[str, int]] = []
    for node in sorted({target for _, target in edges}):
        rows = [row for row, (_, target) in enumerate(edges) if target == node]
        rows.sort(key=lambda row: (-float(strengths[row]), edges[row][0]))
        chosen += [(operations[columns[int(best[row])]], edges[row][0]) for row in rows[:2]]
    return tuple(chosen)


def strongest_inputs(
    weights: torch.Tensor, edges: Sequence[Edge], operations: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """Choose one edge for each node, and one operation on it.

    1. Of the edges into a node, the one with the largest sum of weights is kept.
    2. On it, the operation of the largest weight is chosen.

    Of equal weights, the lower input and the operation that stands first win.

    Args:
        weights: `edges operations`.
        edges: The edges, in the order of the rows.
        operations: The operations, in the order of the columns.

    Returns:
        A pair of an operation and an input for each node in turn.
    """
    names = strongest_operations(weights, operations)
    totals = weights.sum(dim=1).tolist()
    chosen: list[tuple[str, int]] = []
    for node in sorted({target for _, target in edges}):
        rows = [row for row, (_, target) in enumerate(edges) if target == node]
        best = min(rows, key=lambda row: (-totals[row], edges[row][0]))
        chosen.append((names[best], edges[best][0]))
    return tuple(chosen)


def edge_operations(architecture: Architecture) -> dict[tuple[str, Edge], str]:
    """The operation on each edge of an architecture; none if it has no operations on edges.

    Args:
        architecture: The architecture.

    Returns:
        Operations by the cell, `""` where there is only one, and the edge.
    """
    graph = architecture.graph
    return {
        (graph.nodes[target].get("cell", ""), (_number(source), _number(target))): data[
            "operation"
        ]
        for source, target, data in graph.edges(data=True)
        if "operation" in data
    }


def _number(node: Any) -> int:
    """The number of a node, which is named by it or by its cell and it: `"normal/2"`."""
    return int(str(node).rpartition("/")[2])
