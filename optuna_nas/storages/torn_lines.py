"""The end of a journal in order: what to do with lines that were not written to their end.

A line is a record, or holds one or more of them among what was never finished. The latter is
blanked where it stands, so that nothing moves that others have read already; only between two
records that touch, a line's end is put in. Only the last line may hold no record at all: it is
cut. Anything else is damage.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from optuna_nas._lines import read_line

__all__ = ["Mended", "mend", "mend_line"]

_BEGINNING = b'{"op_code":'
_TORN = re.compile(rb"\{[\x20-\x7e]*")
_EMPTY = re.compile(rb"[\0\s]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Mended:
    """Lines that were put in order.

    Attributes:
        first: Where the first byte is that differs.
        content: All from there on.
        cut: The lines that held something unfinished, as they were.
        changed: Whether anything differs.
    """

    first: int
    content: bytes
    cut: bytes
    changed: bool


def mend(lines: bytes) -> Mended | None:
    """Put lines in order.

    Args:
        lines: The end of a journal, from the beginning of a line on.

    Returns:
        What they should be, or None if one in the middle is damaged.
    """
    *whole, rest = lines.split(b"\n")
    found = [line + b"\n" for line in whole] + ([rest] if rest else [])
    good, cut = b"", b""
    for number, line in enumerate(found, start=1):
        mended = mend_line(line)
        if mended is None and number < len(found):
            return None
        good += mended or b""
        if mended is None or mended.split() != line.split():
            cut += line
    differing = (i for i, (a, b) in enumerate(zip(lines, good, strict=False)) if a != b)
    first = next(differing, min(len(lines), len(good)))
    return Mended(first, good[first:], cut, good != lines)


def mend_line(line: bytes) -> bytes | None:
    """Return a line as lines of records; None if it holds no record, or is damaged."""
    try:
        read_line(line)
        return line if line.endswith(b"\n") else line + b"\n"
    except ValueError:
        pass
    parts = _parts(line.rstrip(b"\n"))
    if parts is None:
        return None
    *between, last = parts
    text = b""
    for junk, record in between:
        text += (_blank(junk, b"\n") if text else b" " * len(junk)) + record
    return text + b" " * len(last[0]) + b"\n"


def _blank(junk: bytes, end: bytes) -> bytes:
    """A line's end, and blanks for the rest of what stood between two records."""
    return end + b" " * (len(junk) - 1)


def _parts(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """Pairs of what was not finished and the record behind it, the last one without a record.

    Returns:
        None if there is no record, or something that no interrupted write leaves.
    """
    parts, start, search = [], 0, 0
    while (found := text.find(_BEGINNING, search)) >= 0:
        record = _record(text, found)
        search = found + max(len(record), 1)
        if record:
            parts.append((text[start:found], record))
            start = search
    parts.append((text[start:], b""))
    first, *others = (junk for junk, _ in parts)
    # A single byte between records was the end of a line, and is damaged.
    unfinished = _unfinished(first) and all(len(j) == 1 or _unfinished(j) for j in others)
    return parts if len(parts) > 1 and unfinished else None


def _record(text: bytes, start: int) -> bytes:
    """The record that begins here; empty if there is none."""
    try:
        record, end = _DECODER.raw_decode(text.decode("latin-1"), start)
        if "worker_id" in record:  # not an attribute of somebody's that looks alike
            read_line(text[start:end])
            return text[start:end]
    except (ValueError, RecursionError):
        pass
    return b""


def _unfinished(junk: bytes) -> bool:
    return bool(_EMPTY.fullmatch(junk) or _TORN.fullmatch(junk))
