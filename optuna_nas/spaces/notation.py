"""How NAS-Bench-201 writes operations on edges: `|op~0|+|op~0|op~1|+...`, node by node."""

from __future__ import annotations

import re
from collections.abc import Mapping

Edge = tuple[int, int]


def write_edges(operations: Mapping[Edge, str]) -> str:
    """Write the operation on each edge of a complete graph.

    Args:
        operations: The operation on each edge `(source, target)`, source < target.
    """
    last = max(target for _, target in operations)
    return "+".join(
        "".join(f"|{operations[source, target]}~{source}" for source in range(target)) + "|"
        for target in range(1, last + 1)
    )


def read_edges(text: str) -> dict[Edge, str]:
    """Read what is written so; what does not look so is passed over."""
    operations = {}
    for target, group in enumerate(re.findall(r"\|((?:[^|+]+\|)+)", text), start=1):
        for entry in group.rstrip("|").split("|"):
            operation, _, source = entry.partition("~")
            if re.fullmatch(r"\d{1,9}", source):
                operations[int(source), target] = operation
    return operations
