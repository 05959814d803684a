"""What a sum of operations on edges computes: the folding rules of the field.

A node's value is a sum, kept as a multiset of *terms*. A term is the cell's input or one
operation applied to a value. Then

- `none`, and any operation on an empty sum, adds nothing;
- `skip_connect` adds the source's own terms, so chains of skips disappear;
- an operation without weights gives the same term whenever it is applied to the same value;
- average pooling is linear: of a sum it is the sum of the averages of its terms;
- an operation with weights gives a new term each time, because its weights are its own;
- terms that do not reach the output (dead edges) are not looked at.

What is left is compared up to isomorphism, so that the numbering of the nodes does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from optuna_nas.spaces.canonical import canonical_form

ZERO = "none"
IDENTITY = "skip_connect"
WEIGHTLESS = frozenset({"avg_pool_3x3", "max_pool_3x3", "max_pool_5x5", "max_pool_7x7"})
"""Operations of the published spaces that have no weights."""

LINEAR = frozenset({"avg_pool_3x3"})
"""Those of them that may be taken of each term of a sum instead of the whole."""

_PART, _CONCATENATION = "=", "&"
"""The labels of a part of a concatenation, and of a concatenation that is read on."""

Value = tuple[tuple[int, int], ...]
"""A sum: pairs of term and multiplicity, sorted."""


class Folding:
    """Collects the terms of one cell.

    Args:
        inputs: The labels of the cell's inputs.
        weightless: The operations that have no weights.
    """

    def __init__(self, inputs: Iterable[str], weightless: Collection[str]) -> None:
        self._labels = list(inputs)
        self._sources: list[Value] = [() for _ in self._labels]
        self._weightless = weightless
        self._shared: dict[tuple[str, Value], int] = {}

    def input(self, index: int) -> Value:
        """The value of an input of the cell."""
        return ((index, 1),)

    def apply(self, operation: str, value: Value, *, identity: bool = True) -> Value:
        """The value of an edge.

        Args:
            operation: The operation on the edge.
            value: The value of its source.
            identity: Whether `skip_connect` passes its input on unchanged here (it does not
                where it has to halve the resolution).
        """
        if operation == ZERO or not value:
            return ()
        if operation == IDENTITY and identity:
            return value
        if operation not in self._weightless:
            return ((self._term(operation, value), 1),)
        if operation in LINEAR and (len(value) > 1 or value[0][1] > 1):
            return tuple(
                sorted((self.apply(operation, ((term, 1),))[0][0], count) for term, count in value)
            )
        return ((self._once(operation, value), 1),)

    @staticmethod
    def add(values: Iterable[Value]) -> Value:
        """The value of a node: the sum of its incoming edges."""
        total: Counter[int] = Counter()
        for value in values:
            total.update(dict(value))
        return tuple(sorted(total.items()))

    def concatenate(self, values: Iterable[Value]) -> Value:
        """The concatenation of values, in any order; a single one is itself.

        What is nothing takes no channels. Weights bring the others back to the channels of one.
        """
        parts = [value for value in values if value]
        if len(parts) < 2:
            return parts[0] if parts else ()
        ends = self.add(((self._once(_PART, value), 1),) for value in parts)
        return ((self._term(_CONCATENATION, ends), 1),)

    def canonical(self, outputs: Iterable[Value]) -> str:
        """The canonical text of the function with these outputs (concatenated, in any order)."""
        outputs = list(outputs)
        if not any(outputs):
            return ZERO
        # Terms only read earlier terms, so one backward sweep finds all that are alive.
        alive = {term for value in outputs for term, _ in value}
        for term in range(len(self._labels) - 1, -1, -1):
            if term in alive:
                alive.update(source for source, _ in self._sources[term])
        vertices = {term: vertex for vertex, term in enumerate(sorted(alive))}
        labels = [self._labels[term] for term in vertices]
        edges = {
            (vertices[source], vertices[term]): count
            for term in vertices
            for source, count in self._sources[term]
        }
        for value in outputs:
            for term, count in value:
                edges[vertices[term], len(labels)] = count
            labels.append(_PART)
        return canonical_form(labels, edges)

    def _once(self, operation: str, value: Value) -> int:
        """The term of an operation without weights, which is one however often it is applied."""
        if (operation, value) not in self._shared:
            self._shared[operation, value] = self._term(operation, value)
        return self._shared[operation, value]

    def _term(self, operation: str, value: Value) -> int:
        self._labels.append(operation)
        self._sources.append(value)
        return len(self._labels) - 1
