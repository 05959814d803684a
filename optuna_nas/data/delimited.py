"""Tables in text files: fields between commas, semicolons or tabs, nothing guessed or lost.

1. The text is decoded as its byte order mark says, else as UTF-8, or as it is asked for.
2. The separator is one that the first line has.
3. Quotation marks enclose fields, or are part of the text: programs write the former, and
   collections of texts are published as the latter. What gives each line as many fields as the
   first is right. If both do, that is the reading with more rows, since quotation marks that
   enclose lines leave halves of rows behind, which have another number of fields. If there is
   still a doubt, they enclose fields between commas, and are text between tabs unless writing
   what was read gives the same file again.
4. Only an empty field is missing; "NA", "null" and "None" are words.
5. A column is of numbers if each of its fields is written as a number is, so that `01` is a word.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Columns", "read_delimited", "read_text", "typed"]

Columns = dict[str, list[str | None]]
"""The fields of a table by column; None for a missing one."""

_SEPARATORS = {".csv": (",", ";", "\t", "|"), ".tsv": ("\t",)}
_MARKS = {  # the longer ones first
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_LARGEST_FIELD = 2**31 - 1
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TRUTHS = {"true": True, "True": True, "TRUE": True}
_TRUTHS |= {"false": False, "False": False, "FALSE": False}

Rows = list[list[str]]


def read_text(path: Path, encoding: str | None = None) -> str:
    """Read a text file.

    Args:
        path: The file.
        encoding: How it is encoded; by default as its byte order mark says, else UTF-8.

    Raises:
        ValueError: It is encoded in another way; the message names the byte and its line.
    """
    content = path.read_bytes()
    if encoding is None:
        marked = (name for mark, name in _MARKS.items() if content.startswith(mark))
        encoding = next(marked, _without_mark(content))
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise ValueError(
            f"`encoding`={encoding!r} is not known; allowed are those of Python, as utf-8, "
            "latin-1, cp1252 or utf-16."
        ) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not encoded in {encoding}: line {line} has the byte "
            f"0x{content[error.start]:02X}. Name its `encoding`, as latin-1 or "
            "cp1252, or save it as UTF-8."
        ) from None


def read_delimited(path: Path, encoding: str | None = None) -> Columns:
    """Read a table.

    Args:
        path: A `.csv` or `.tsv` file, whose first line has the names of the columns.
        encoding: That of :func:`read_text`.

    Returns:
        The fields by column, in the order of the columns and rows.

    Raises:
        ValueError: It is no table; the message names the line.
    """
    text = read_text(path, encoding).replace("\r\n", "\n").replace("\r", "\n")
    first = next((line for line in text.split("\n") if line.strip()), "")
    possible = _SEPARATORS[path.suffix.lower()]
    separators = [mark for mark in possible if mark in first] or possible[:1]
    tables = (_rows(text, separator) for separator in separators)
    rows = next((found for found in tables if found), None)
    if rows is None:
        raise ValueError(f"{path} {_what_is_wrong(text, separators[0])}")
    names = [name.strip() for name in rows[0]]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path} has several columns of one name: {sorted(repeated)}.")
    fields = [[field or None for field in column] for column in zip(*rows[1:], strict=True)]
    return dict(zip(names, fields or [[] for _ in names], strict=True))


def typed(fields: Sequence[str | None]) -> Sequence[object]:
    """The fields of a column as numbers or truth values, if all of them are written so."""
    present = {field for field in fields if field is not None}
    if not present:
        return fields
    if all(map(_WHOLE.fullmatch, present)):
        return [None if field is None else int(field) for field in fields]
    if all(map(_NUMBER.fullmatch, present)):
        return [None if field is None else float(field) for field in fields]
    if present <= _TRUTHS.keys():
        return [None if field is None else _TRUTHS[field] for field in fields]
    return fields


def _without_mark(content: bytes) -> str:
    """UTF-8, or UTF-16 if every other byte of what are mostly plain letters is zero."""
    start = content[:1000]
    if start[1::2].count(0) > len(start) / 4:
        return "utf-16-le"
    return "utf-16-be" if start[::2].count(0) > len(start) / 4 else "utf-8"


def _rows(text: str, separator: str) -> Rows | None:
    """The rows in the reading that fits; None if none does."""
    plain = [line.split(separator) for line in text.split("\n") if line.strip(" ")]
    if '"' not in text:
        return plain if _even(plain) else None
    enclosed = _enclosed(text, separator)
    if not _even(plain):
        return enclosed if _even(enclosed) else None
    if not _even(enclosed) or len(plain) > len(enclosed):
        return plain
    return plain if separator == "\t" and not _is_written_so(text, enclosed) else enclosed


def _even(rows: Rows) -> bool:
    return bool(rows) and all(len(row) == len(rows[0]) for row in rows)


def _enclosed(text: str, separator: str) -> Rows:
    """The rows if quotation marks enclose fields; none if one is not closed."""
    try:
        return [row for _, row in _read(text, separator)]
    except csv.Error:
        return []


def _read(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Read rows with enclosed fields; each comes with the number of its last line."""
    limit = csv.field_size_limit(_LARGEST_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise csv.Error(f"has a quotation mark out of place in line {reader.line_num}") from error
    finally:
        csv.field_size_limit(limit)


def _is_written_so(text: str, rows: Rows) -> bool:
    """Whether a program that encloses all fields, or those that need it, has written the text."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        written = io.StringIO()
        csv.writer(written, delimiter="\t", quoting=quoting, lineterminator="\n").writerows(rows)
        if written.getvalue().rstrip("\n") == text.rstrip("\n"):
            return True
    return False


def _what_is_wrong(text: str, separator: str) -> str:
    if not text.strip():
        return "is empty."
    try:
        rows = list(_read(text, separator))
    except csv.Error as error:
        return f"{error}; a field that begins with one has to end with one."
    expected = len(rows[0][1])
    number, count = next((line, len(row)) for line, row in rows if len(row) != expected)
    return (
        f"has {count} fields in line {number}, and {expected} in its first, with {separator!r} "
        "between them."
    )
