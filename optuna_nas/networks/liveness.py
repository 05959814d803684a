"""Which edges of a cell matter: those on some way from an input to an output.

All other edges are not computed. A node that nothing reaches is zero, and so is every operation
on it: the folding rule of the field, by which two cells with the same `Architecture.key` compute
the same function.

Departures: the reference implementations do compute such operations. A convolution of nothing
but zeros then adds the shift of its batch norm, a constant; here it adds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def live_edges(
    edges: Sequence[tuple[int, int]], inputs: Collection[int], outputs: Collection[int]
) -> list[int]:
    """Find the edges that carry something from an input to an output.

    Args:
        edges: The connections `(source, target)`, each with source < target; may repeat.
        inputs: The nodes whose value is given.
        outputs: The nodes whose value is wanted.

    Returns:
        The positions in `edges` of the live ones, ordered by target.
    """
    reached, wanted = set(inputs), set(outputs)
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        if source in reached:
            reached.add(target)
    for source, target in sorted(edges, key=lambda edge: -edge[0]):
        if target in wanted:
            wanted.add(source)
    alive = [i for i, (s, t) in enumerate(edges) if s in reached and t in wanted]
    return sorted(alive, key=lambda i: edges[i][1])
