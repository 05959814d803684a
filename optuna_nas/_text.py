"""Text of others that is shown: without what a terminal or a page would obey.

Names, attributes and errors that come from a study may hold anything: escape sequences that
rewrite a terminal, marks that turn the direction of writing, halves of characters that cannot be
written at all. Each of them is replaced by one sign, so that what is shown is as wide as it looks.
"""

from __future__ import annotations

import re

__all__ = ["one_line", "printable"]

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tabs and ends of lines
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # invisible
    "\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff"  # halves of characters
    "\U000e0000-\U000e0fff]"  # tags
)
_SIGN = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with nothing in it that a terminal obeys, except tabs and ends of lines."""
    return _OBEYED.sub(_SIGN, text)


def one_line(text: object, length: int | None = None) -> str:
    """The text in one line with nothing in it that a terminal obeys.

    Args:
        text: The text, or what is written as one.
        length: Where it is cut; None to keep all of it.
    """
    line = printable(" ".join(str(text).split()))
    return line if length is None or len(line) <= length else f"{line[: length - 1]}…"
