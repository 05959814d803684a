"""Tables in `.json` and `.jsonl` files: one object a row, in a list or one a line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna_nas.data.delimited import read_text

__all__ = ["read_json"]


def read_json(path: Path, encoding: str | None = None) -> dict[str, list[Any]]:
    """Read a table.

    Args:
        path: The file.
        encoding: How it is encoded; by default as its byte order mark says, else UTF-8.

    Returns:
        The values by column; None where an object lacks one.

    Raises:
        ValueError: It is no table; the message names the line.
    """
    text = read_text(path, encoding)
    document = _document(text)
    if isinstance(document, dict) and all(isinstance(c, list) for c in document.values()):
        return document  # by column already
    rows = document if isinstance(document, list) else _lines(path, text)
    if wrong := [row for row in rows if not isinstance(row, dict)]:
        raise ValueError(
            f"{path} must hold objects, in a list or one a line; it has {str(wrong[0])[:50]!r}."
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _document(text: str) -> Any:
    """What a file is as one document; None if it is none, but one a line."""
    with suppress(ValueError):
        return json.loads(text)
    return None


def _lines(path: Path, text: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"Line {number} of {path} is not JSON: {error}.") from error
    return found
