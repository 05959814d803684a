"""What the SVG drawings share: a white card, text that is safe to embed, and widths of text.

The drawings are self-contained: no script, no style sheet, no font and no identifier, so that any
number of them can stand in one page. They sit on a white card with a border of their own, and so
read the same on a dark page.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from optuna_nas._text import one_line

__all__ = [
    "FAINT",
    "INK",
    "LINE",
    "MUTED",
    "Picture",
    "card",
    "element",
    "plain",
    "stack",
    "text",
    "text_width",
]

INK = "#0f172a"
MUTED = "#64748b"
LINE = "#94a3b8"
FAINT = "#cbd5e1"

_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_NARROW, _WIDE = frozenset(" .,:;'!|()[]{}fijlrtI-/"), frozenset("mwMW@%—")


def plain(value: object, length: int = 60) -> str:
    """Return `value` as one line of harmless characters, cut to `length`."""
    return one_line(value, length)


def text_width(line: str, size: float) -> float:
    """Estimate the width of a line in a sans-serif font, rather too wide than too narrow."""
    ems = (
        0.34
        if character in _NARROW
        else 0.92
        if character in _WIDE
        else 1.05
        if unicodedata.east_asian_width(character) in "WF"
        else 0.62
        for character in line
    )
    return size * sum(ems)


def element(name: str, content: str | None = None, **attributes: object) -> str:
    """Write an SVG element; `stroke_width` becomes `stroke-width`, and numbers are rounded.

    Args:
        name: The element's name.
        content: What stands inside: elements, or text made safe by :func:`text`.
        **attributes: Its attributes; None leaves one out.
    """
    given = "".join(
        f" {key.replace('_', '-')}={quoteattr(_value(value))}"
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}/>" if content is None else f"<{name}{given}>{content}</{name}>"


def text(
    x: float, y: float, line: str, note: str = "", *, size: float = 12, **attributes: object
) -> str:
    """Write one line of text at its baseline; `c_{k-1}` gets a subscript, a note is muted."""
    subscript = re.fullmatch(r"(.+)_\{(.+)\}", line)
    if subscript is None:
        content = escape(line)
    else:
        base, index = map(escape, subscript.groups())
        content = base + element("tspan", index, dy=size / 4, font_size=size * 0.75)
    if note:
        content += element("tspan", escape(note), dx=size / 3, fill=MUTED)
    return element("text", content, x=x, y=y, font_size=size, **attributes)


@dataclass(frozen=True)
class Picture:
    """A part of a drawing, with its upper left corner at (0, 0).

    Args:
        width: Its width in pixels.
        height: Its height in pixels.
        elements: What is in it.
    """

    width: float
    height: float
    elements: Sequence[str]


def stack(pictures: Iterable[Picture], gap: float = 28.0) -> Picture:
    """Put pictures one under the other."""
    pictures = list(pictures)
    width, top, groups = max(picture.width for picture in pictures), 0.0, []
    for picture in pictures:
        move = f"translate(0 {_value(top)})"
        groups.append(element("g", "\n".join(["", *picture.elements, ""]), transform=move))
        top += picture.height + gap
    return Picture(width, top - gap, groups)


def card(picture: Picture, *, title: str | None, about: str, margin: float = 24.0) -> str:
    """Put a picture on a white card.

    Args:
        picture: What is on it.
        title: What stands above, and the accessible name.
        about: The accessible description.
        margin: The space around the picture in pixels.

    Returns:
        A complete SVG document.
    """
    head = 0.0 if title is None else 34.0
    heading = plain(title or "", 80)
    inner = max(picture.width, text_width(heading, 15))
    width, height = (
        float(round(inner + 2 * margin)),
        float(round(picture.height + 2 * margin + head)),
    )
    move = f"translate({_value((width - picture.width) / 2)} {_value(margin + head)})"
    return element(
        "svg",
        "\n".join(
            [
                "",
                element("title", escape(heading)) if heading else "",
                element("desc", escape(about)),
                element(
                    "rect",
                    x=0.5,
                    y=0.5,
                    width=width - 1,
                    height=height - 1,
                    rx=12,
                    fill="#fff",
                    stroke="#e2e8f0",
                ),
                text(margin, margin + 12, heading, size=15, fill=INK, font_weight=600)
                if heading
                else "",
                element("g", "".join(picture.elements), transform=move),
                "",
            ]
        ),
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        role="img",
        font_family=_FONT,
    )


def _value(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, float) else str(value)
