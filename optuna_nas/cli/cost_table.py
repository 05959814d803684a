"""`optuna-nas cost-table`: what each operation of a space costs on this machine."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.images import SPACES
from optuna_nas.cli.terminal import SafeConsole
from optuna_nas.measures.names import MEASURES

if TYPE_CHECKING:
    from optuna_nas.measures import CostTable

_MEASURES = ", ".join(name for name, measure in MEASURES.items() if measure.additive)


def cost_table(
    space: Annotated[
        str, typer.Option(help=f"{', '.join(SPACES)}, or module:object for your own.")
    ] = "nasbench201",
    measure: Annotated[
        str, typer.Option(help=f"{_MEASURES}, or module:object for your own.")
    ] = "latency",
    channels: Annotated[
        int | None, typer.Option(min=1, help="Width of the networks; published if unset.")
    ] = None,
    cells: Annotated[
        int | None, typer.Option(min=1, help="Depth of the networks; published if unset.")
    ] = None,
    image_size: Annotated[int, typer.Option(min=1, help="Side of the images.")] = 32,
    in_channels: Annotated[int, typer.Option(min=1, help="Channels of the images.")] = 3,
    num_classes: Annotated[int, typer.Option(min=1, help="Classes.")] = 10,
    device: Annotated[str, typer.Option(help="Where is measured.")] = "cpu",
    output: Annotated[Path | None, typer.Option(help="What to write.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Measure again, and replace the file.")] = False,
) -> None:
    """Measure what each operation of a space costs in each place, into a text file.

    A search uses it with --costs FILE. A file that is there and of the same networks is kept.
    """
    from optuna_nas.artifacts.names import safe_name
    from optuna_nas.cli.objectives.goals import named_measure
    from optuna_nas.cli.objectives.images import make_space
    from optuna_nas.measures import read_cost_table
    from optuna_nas.measures.tabulation import tabulate
    from optuna_nas.objectives.devices import usable_device
    from optuna_nas.supernets import build_supernet

    console = SafeConsole()
    with mendable(ValueError, TypeError, OSError):  # types: of a space without a supernet
        chosen = named_measure("measure", measure)
        where = usable_device(device)
        supernet = build_supernet(
            make_space({"space": space}),
            num_classes=num_classes,
            in_channels=in_channels,
            channels=channels,
            cells=cells,
        )
        about = {
            "space": space,
            "channels": str(supernet.size.channels),
            "cells": str(supernet.size.cells),
            "images": f"{in_channels} x {image_size} x {image_size}, {num_classes} classes",
            "device": device,
        }
        file = output or Path(f"{safe_name(space)}-{chosen.name}.txt")
        if file.exists() and not overwrite:
            _check_same(read_cost_table(file), chosen.name, about, file)
            console.print(f"Measured before, --overwrite measures again: {escape(str(file))}")
        else:
            with console.status("Measuring ..."):
                shape = in_channels, image_size, image_size
                table = tabulate(supernet, shape, chosen, device=where)
            notes = {**about, "machine": f"{platform.node()}, {platform.machine()}"}
            table = table.with_notes(notes)
            file.write_text(table.to_text(), encoding="utf-8")
            console.print(f"Written: [bold]{escape(str(file))}[/]", soft_wrap=True)


def _check_same(table: CostTable, measure: str, about: dict[str, str], file: Path) -> None:
    """Refuse a file of other costs.

    Raises:
        ValueError: It is of something else; the message says what.
    """
    found = {"measure": table.measure, **{name: table.notes.get(name) for name in about}}
    wanted = {"measure": measure, **about}
    differing = [name for name in wanted if found[name] != wanted[name]]
    if differing:
        name = differing[0]
        raise ValueError(
            f"`output` is {str(file)!r}, a table of {name} {found[name]!r}, and not "
            f"{wanted[name]!r}; name another file, or replace it with --overwrite."
        )
