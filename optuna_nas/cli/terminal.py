"""What the commands write to a terminal, and what it cannot be made to do.

1. Everything goes through one console, which shows text of others as it is: control characters
   are replaced (:mod:`optuna_nas._text`). Only the console itself moves the cursor or colours.
2. Messages of logs and warnings pass the same function.
3. A terminal of another encoding than UTF-8 gets the nearest signs it has: `|` for a line, `?`
   for what has no likeness.
"""

from __future__ import annotations

import codecs
import io
import logging
import sys
import unicodedata
import warnings
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from optuna_nas._text import printable

__all__ = ["SafeConsole", "prepare_terminal"]

_ENCODING_ERRORS = "optuna_nas.nearest"
_NEAREST = {
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{LEFTWARDS ARROW}": "<-",
    "\N{MIDDLE DOT}": ".",
    "\N{BULLET}": "*",
    "\N{EN DASH}": "-",
}
_format_warning = warnings.formatwarning


class SafeConsole(Console):
    """A console that shows no control character of what is printed."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does, and replace what a terminal would obey."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=printable(segment.text))


class _PrintableRecord(logging.LogRecord):
    def getMessage(self) -> str:
        return printable(super().getMessage())


def _format_printable(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    return printable(_format_warning(message, category, filename, lineno, line))


def prepare_terminal() -> None:
    """Make standard output and error safe for text of others, in whatever encoding they are."""
    logging.setLogRecordFactory(_PrintableRecord)
    warnings.formatwarning = _format_printable
    codecs.register_error(_ENCODING_ERRORS, _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ENCODING_ERRORS)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding does not have with what every one has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(map(_likeness, found)), error.end


def _likeness(character: str) -> str:
    name = unicodedata.name(character, "")
    if character in _NEAREST:
        return _NEAREST[character]
    if name.startswith("BOX DRAWINGS"):
        directions = {word for word in ("VERTICAL", "HORIZONTAL", "UP", "DOWN") if word in name}
        return "|" if directions == {"VERTICAL"} else "-" if directions == {"HORIZONTAL"} else "+"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
