"""Short names and stable colours of operations.

An operation has the same colour in every drawing and every space: the short name decides, so that
`nor_conv_3x3` of NAS-Bench-201 and `conv3x3-bn-relu` of NAS-Bench-101 look alike. All colours are
dark enough for white text on them (a contrast of at least 4.5).
"""

from __future__ import annotations

import colorsys
import hashlib
import re

from optuna_nas.visualization.drawing import plain

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
    digest = hashlib.sha256(str(operation).encode("utf-8", "surrogatepass")).digest()
    return _hex(colorsys.hls_to_rgb(digest[0] / 256, 0.3, 0.45 + digest[1] / 1024))


def light_colour(operation: object) -> str:
    """Return the same hue for text on a terminal, legible on black and on white."""
    red, green, blue = (int(colour(operation)[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    return _hex(colorsys.hls_to_rgb(hue, max(lightness, 0.52), saturation))


def _hex(rgb: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
