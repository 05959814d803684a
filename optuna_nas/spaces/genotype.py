"""The notation of DARTS for a normal and a reduction cell, which NASNet and AmoebaNet share."""

from __future__ import annotations

import ast
import re
from typing import Any, NamedTuple

CELLS = ("normal", "reduce")
"""The two cells of an architecture, in the order in which they are written."""

_MOST_NUMBERS = 1000

Gene = tuple[str, int]
"""An operation and the node it is applied to."""


class Genotype(NamedTuple):
    """An architecture in the notation of DARTS.

    Attributes:
        normal: The `(operation, input)` pairs of the normal cell, two for each node.
        normal_concat: The nodes that are concatenated, in DARTS `(2, 3, 4, 5)`.
        reduce: The pairs of the reduction cell.
        reduce_concat: The nodes that are concatenated.
    """

    normal: tuple[Gene, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Gene, ...]
    reduce_concat: tuple[int, ...]

    def __str__(self) -> str:
        """Write the genotype as DARTS does."""
        fields = (f"{name}={list(value)!r}" for name, value in self._asdict().items())
        return f"Genotype({', '.join(fields)})"


def read_genotype(text: str) -> Genotype:
    """Read a genotype, as published ones are written.

    Raises:
        ValueError: The text is no genotype.
    """
    match = re.fullmatch(r"\s*(?:\w+\s*=\s*)?Genotype\((.*)\)\s*", text, flags=re.DOTALL)
    try:
        call = ast.parse(f"f({match.group(1) if match else None})", mode="eval").body
        assert isinstance(call, ast.Call)
        # `range(2, 6)` is how the concatenation is published.
        fields = {k.arg: _literal(k.value) for k in call.keywords if k.arg is not None}
        return Genotype(**{name: tuple(value) for name, value in fields.items()})
    except (AssertionError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(
            f"`text` is {text!r}; needed is Genotype(normal=[(operation, input), ...], "
            "normal_concat=[2, 3, 4, 5], reduce=[...], reduce_concat=[...])."
        ) from error


def check_genes(cell: str, genes: tuple[Any, ...]) -> None:
    """Refuse what is no list of pairs.

    Raises:
        ValueError: One of them is no pair of an operation's name and a node's number.
    """
    for gene in genes:
        if not (
            isinstance(gene, (tuple, list))
            and len(gene) == 2
            and isinstance(gene[0], str)
            and isinstance(gene[1], int)
        ):
            raise ValueError(
                f"`genotype.{cell}` has the pair {gene!r}; allowed are pairs of an "
                "operation's name and a node's number."
            )


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        numbers = range(*(ast.literal_eval(argument) for argument in node.args))
        return list(numbers[:_MOST_NUMBERS])  # more are refused anyway, however many there are
    return ast.literal_eval(node)
