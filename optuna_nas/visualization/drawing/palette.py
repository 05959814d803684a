"""Short names and stable colours of operations.

An operation has the same colour in every drawing and every space: the short name decides, so that
`nor_conv_3x3` of NAS-Bench-201 and `conv3x3-bn-relu` of NAS-Bench-101 look alike. All colours are
dark enough for white text on them (a contrast of at least 4.5).
"""

from __future__ import annotations

import colorsys
import hashlib
import re

from optuna_nas.visualization.drawing.canvas import plain

__all__ = ["colour", "light_colour", "short_name"]

_SHORT_NAMES = {"skip_connect": "skip", "identity": "skip"}
_PREFIXES_AND_SUFFIXES = re.compile(r"^nor[_-]|[_-]bn[_-]relu$")
_KERNEL = re.compile(r"(?<=[a-z])(?=\d+x\d+)")

_COLOURS = {
    "conv 1x1": "#0369a1",
    "conv 3x3": "#1d4ed8",
    "sep conv 3x3": "#6d28d9",
    "sep conv 5x5": "#a21caf",
    "dil conv 3x3": "#0f766e",
    "dil conv 5x5": "#15803d",
    "avg pool 3x3": "#b45309",
    "max pool 3x3": "#be123c",
    "skip": "#475569",
    "none": "#94a3b8",
}


def short_name(operation: object) -> str:
    """Return what stands on a drawing: `nor_conv_3x3` -> `conv 3x3`, `skip_connect` -> `skip`."""
    name = str(operation)
    name = _SHORT_NAMES.get(name, _PREFIXES_AND_SUFFIXES.sub("", name) or name)
    name = re.sub("(max|avg)pool", r"\1 pool", name)
    return plain(" ".join(_KERNEL.sub(" ", name).replace("_", " ").split()) or name, 22)


def colour(operation: object) -> str:
    """Return an operation's colour as `#rrggbb`; unknown operations get one from their name."""
    name = short_name(operation)
    if name in _COLOURS:
        return _COLOURS[name]
    digest = hashlib.sha256(name.encode()).digest()
    return _shade(digest[0] / 256, 0.45 + digest[1] / 1024, luminance=0.16)


def light_colour(operation: object) -> str:
    """Return the same hue for text on a terminal, legible on black and on white alike."""
    red, green, blue = (int(colour(operation)[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    return _shade(hue, saturation, luminance=0.19)


def _shade(hue: float, saturation: float, *, luminance: float) -> str:
    """Find the shade of a hue that is as bright as asked, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        rgb = colorsys.hls_to_rgb(hue, middle, saturation)
        low, high = (middle, high) if _luminance(rgb) < luminance else (low, middle)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def _luminance(rgb: tuple[float, float, float]) -> float:
    """The relative luminance of WCAG 2, from 0 for black to 1 for white."""
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in rgb]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
