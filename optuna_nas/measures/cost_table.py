"""Tables of what operations cost in their places, in a text format.

A table looks like this::

    # optuna-nas cost table 1
    # measure: latency
    # unit: ms
    # base: 0.52
    place none skip_connect nor_conv_3x3
    cell/0-1 0 0.02 0.31
    cell/0-2 0 0.02 0.31

1. Lines that begin with `#` say what the numbers are, one `key: value` each; `base` is what every
   network costs besides its operations, zero if it is not said. Other keys are notes.
2. The first other line has the names of the operations behind the word `place`.
3. Every further line is a place, the kind of cell and the edge, with a number for each operation;
   a cell that stands several times in a network has the sum over its copies.

FBNet's tables are read too: a row of numbers for each layer, with or without a line of names
before them, in microseconds. Their rows are the places in order.

The cost of a network is `base` plus the numbers of its operations. Reference: B. Wu et al.,
"FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search",
CVPR 2019, arXiv:1812.03443, section 3.4.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optuna_nas._checks import user_path
from optuna_nas._text import one_line

if TYPE_CHECKING:
    from optuna_nas.supernets import Supernet

__all__ = ["CostTable", "place_label", "read_cost_table"]

_FORMAT = "optuna-nas cost table"
_VERSION = "1"
_PLACE = "place"


@dataclass(frozen=True, eq=False)
class CostTable:
    """What each operation costs in each place.

    Attributes:
        values: `places operations`, zero or more.
        operations: The names of the columns; None if the table does not tell.
        places: The names of the rows; None if they are the places in order.
        measure: What is measured.
        unit: Its unit.
        base: What every network costs besides its operations.
        notes: How it was measured, by key.

    Raises:
        ValueError: A number is negative or none, or there are not as many as names.
    """

    values: NDArray[np.float64]
    operations: tuple[str, ...] | None = None
    places: tuple[str, ...] | None = None
    measure: str = "latency"
    unit: str = "us"
    base: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, columns = self.values.shape
        names = (self.places, rows), (self.operations, columns)
        if any(known is not None and len(known) != count for known, count in names):
            raise ValueError(f"`values` is {rows} x {columns}, other than the names beside it.")
        numbers = [*self.values.ravel().tolist(), self.base]
        if not numbers or not all(math.isfinite(n) and n >= 0 for n in numbers):
            raise ValueError("`values` and `base` have to be numbers of zero or more.")

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return f"CostTable({self.measure!r}, {rows} places, {columns} operations, {self.digest})"

    @property
    def digest(self) -> str:
        """A short text that is another for other costs."""
        content = f"{self.places} {self.operations} {self.unit} {self.base!r}".encode()
        return hashlib.sha256(content + self.values.tobytes()).hexdigest()[:12]

    def scaled(self, factor: float, unit: str) -> CostTable:
        """The same costs in another unit.

        Args:
            factor: What the numbers are multiplied with.
            unit: The unit they have then.
        """
        return replace(self, values=factor * self.values, base=factor * self.base, unit=unit)

    def with_notes(self, notes: Mapping[str, str]) -> CostTable:
        """The same costs with other notes, each in one line."""
        return replace(self, notes={key: one_line(value) for key, value in notes.items()})

    def costs(self, supernet: Supernet) -> dict[str, NDArray[np.float64]]:
        """The costs of the operations of a supernet.

        Args:
            supernet: The supernet.

        Returns:
            For each kind of cell `edges operations`, as its weights are.

        Raises:
            ValueError: The table lacks a place or an operation.
        """
        labels = [
            (kind, place_label(kind, edge))
            for kind, edges in supernet.edges.items()
            for edge in edges
        ]
        rows = self._found("place", self.places, [label for _, label in labels])
        columns = self._found("operation", self.operations, supernet.operations)
        chosen = self.values[np.ix_(rows, columns)]
        return {
            kind: chosen[[row for row, (own, _) in enumerate(labels) if own == kind]]
            for kind in supernet.edges
        }

    def _found(self, what: str, known: Sequence[str] | None, wanted: Sequence[str]) -> list[int]:
        """The rows or columns of names, by their order if the table does not name them."""
        if known is None:
            count = self.values.shape[what == "operation"]
            if count != len(wanted):
                raise ValueError(
                    f"The table of costs has {count} {what}s without names, and the supernet has "
                    f"{len(wanted)}: {', '.join(wanted)}."
                )
            return list(range(count))
        lacking = [name for name in wanted if name not in known]
        if lacking:
            raise ValueError(
                f"The table of costs lacks the {what} {lacking[0]!r}; it has {list(known)}. "
                "Make one of this space with `optuna-nas cost-table`."
            )
        return [known.index(name) for name in wanted]

    def to_text(self) -> str:
        """The table in the format of this module."""
        places = self.places or tuple(map(str, range(len(self.values))))
        operations = self.operations or tuple(map(str, range(self.values.shape[1])))
        about = {"measure": self.measure, "unit": self.unit, "base": f"{self.base:.6g}"}
        lines = [f"# {_FORMAT} {_VERSION}"]
        lines += [f"# {key}: {value}" for key, value in {**about, **self.notes}.items()]
        lines.append(" ".join([_PLACE, *operations]))
        for place, costs in zip(places, self.values.tolist(), strict=True):
            lines.append(" ".join([place, *(f"{cost:.6g}" for cost in costs)]))
        return "\n".join(lines) + "\n"


def place_label(kind: str, edge: tuple[int, int]) -> str:
    """What a table calls a place."""
    source, target = edge
    return f"{kind}/{source}-{target}"


def read_cost_table(path: str | Path) -> CostTable:
    """Read a table of either format.

    Args:
        path: The file.

    Raises:
        ValueError: There is no such file, or it is no such table; the message names the line.
    """
    file = user_path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The table of costs {str(path)!r} cannot be read: {error}.") from error
    try:
        return _parsed(text)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is no table of costs: {error}") from error


def _parsed(text: str) -> CostTable:
    notes: dict[str, str] = {}
    lines: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            notes[key.strip()] = value.strip()
        elif line.strip():
            lines.append((number, line.split()))
    newer = [key for key in notes if key.startswith(_FORMAT) and not key.endswith(f" {_VERSION}")]
    if newer:
        raise ValueError(f"{newer[0]!r} is of another version of optuna-nas.")
    notes = {key: value for key, value in notes.items() if not key.startswith(_FORMAT)}
    header = lines.pop(0)[1] if lines and not _is_number(lines[0][1][0]) else None
    named = header is not None and header[0] == _PLACE
    operations = None if header is None else tuple(header[named:])
    if not lines:
        raise ValueError("there is no line of numbers.")
    width = len(lines[0][1]) if header is None else len(header)
    rows = []
    for number, words in lines:
        if len(words) != width:
            raise ValueError(f"line {number} has {len(words)} entries, and not {width}.")
        rows.append([_cost(word, number) for word in words[named:]])
    return CostTable(
        np.array(rows),
        operations,
        tuple(words[0] for _, words in lines) if named else None,
        measure=notes.pop("measure", "latency"),
        unit=notes.pop("unit", "us"),
        base=_cost(notes.pop("base", "0"), 1),
        notes=notes,
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _cost(word: str, line: int) -> float:
    cost = float(word) if _is_number(word) else math.nan
    if not (math.isfinite(cost) and cost >= 0):
        raise ValueError(f"line {line} has {word!r}; allowed are numbers of zero or more.")
    return cost
