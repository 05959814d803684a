"""An architecture for the terminal: each node with what comes in, and through which operation."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.columns import Columns
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from optuna_nas.visualization.drawing.anatomy import NO_OPERATION, Cell, cells, parameter_table
from optuna_nas.visualization.drawing.palette import light_colour, short_name

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture

__all__ = ["cell_text"]


def cell_text(architecture: Architecture, *, colour: bool = True) -> RenderableType:
    """Draw an architecture for the terminal.

    Args:
        architecture: The architecture.
        colour: Whether operations have their colours.

    Returns:
        Something `rich.print` prints: a table for each cell, with a row for each input of a node,
        side by side if there is room; or one of the parameters if there are no edges.
    """
    drawn = cells(architecture)
    if not drawn:
        table = Table("parameter", "value", box=SIMPLE)
        for name, value in parameter_table(architecture):
            table.add_row(Text(name), Text(value))
        return table
    return Columns([_table(cell, colour) for cell in drawn], padding=(0, 6))


def _table(cell: Cell, colour: bool) -> Table:
    title = None if cell.name is None else Text(f"{cell.name} cell", "bold" if colour else "")
    table = Table(box=None, show_header=False, title=title, title_justify="left", pad_edge=False)
    table.add_column(justify="right")
    alive = cell.contributing
    for node in cell.graph:
        name = Text(cell.label(node), "bold" if colour and node in alive else "")
        for source, operation in _rows(cell, node):
            table.add_row(name, Text(source), _operation(operation, colour))
            name = Text("")
    return table


def _rows(cell: Cell, node: Hashable) -> Iterator[tuple[str, str | None]]:
    """Where a node's inputs come from, and the operation they go through."""
    sources = list(cell.graph.predecessors(node))
    direct = [source for source in sources if cell.edge_operation((source, node)) is None]
    own: str | None = cell.graph.nodes[node].get("operation")
    if direct or own is not None:
        yield "← " + ", ".join(map(cell.label, direct)), own
    for source in sources:
        if source not in direct:
            yield f"← {cell.label(source)}", cell.edge_operation((source, node))


def _operation(operation: str | None, colour: bool) -> Text:
    if operation is None:
        return Text("")
    name = short_name(operation)
    if operation == NO_OPERATION:
        return Text(f"· {name}", "dim" if colour else "")
    return Text(f"■ {name}", light_colour(operation) if colour else "")
