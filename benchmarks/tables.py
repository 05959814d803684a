"""What the benchmark scripts share: their common options, and tables as CSV and Markdown."""

from __future__ import annotations

import argparse
import csv
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

FOLDER = Path(__file__).parent
Row = Mapping[str, object]
T = TypeVar("T")


def parser(description: str | None, *, resumable: bool = False) -> argparse.ArgumentParser:
    """Return a parser with the options that the scripts share.

    Args:
        description: The docstring of the script.
        resumable: Whether the script keeps what is finished, and goes on from there.
    """
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--results", type=Path, default=FOLDER / "results", help="folder for the tables"
    )
    if resumable:
        made.add_argument(
            "--runs",
            type=Path,
            default=FOLDER / "runs",
            help="folder for what is finished: a second call goes on from there",
        )
    return made


def several(read: Callable[[str], T]) -> Callable[[str], list[T]]:
    """Return what reads a list with commas between its entries.

    Args:
        read: Reads one entry.
    """

    def entries(text: str) -> list[T]:
        return [read(entry) for entry in text.split(",") if entry]

    return entries


def save(folder: Path, name: str, title: str, note: str, rows: Sequence[Row]) -> None:
    """Write a table as `name.csv` and `name.md`, and print it.

    Args:
        folder: Where to.
        name: The name of the files.
        title: The heading of the Markdown.
        note: How it was measured.
        rows: The rows, all with the same columns.
    """
    write_csv(folder, name, rows)
    text = f"## {title}\n\n{textwrap.fill(' '.join(note.split()), 100)}\n\n{markdown(rows)}"
    write_text(folder, name, text)


def write_csv(folder: Path, name: str, rows: Sequence[Row]) -> None:
    """Write a table as `name.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_text(folder: Path, name: str, text: str) -> None:
    """Write `name.md`, and print it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text, flush=True)


def markdown(rows: Sequence[Row]) -> str:
    """Write a table as Markdown; floats with four significant digits."""
    head = list(rows[0])
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    lines += [[_cell(row[column]) for column in head] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
