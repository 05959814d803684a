"""Numbers as people read them: `12.3 k`, `0.9712`, `3 min 12 s`."""

from __future__ import annotations

import math

__all__ = ["MISSING", "format_count", "format_duration", "format_measured", "format_value"]

MISSING = "\N{EN DASH}"

_UNITS = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))


def format_value(value: float | None) -> str:
    """Write a value with at least four significant digits."""
    if value is None:
        return MISSING
    size = abs(value)
    if not 1e-3 <= size < 1e6:  # zero, very small, very large, infinite
        return f"{value:.4g}"
    return f"{value:,.{4 if size < 10 else 2 if size < 1000 else 1}f}"


def format_measured(value: float | None, error: float | None) -> str:
    """Write a value and its standard error, if that is known: `0.9792 ± 0.0119`."""
    text = format_value(value)
    return text if value is None or error is None else f"{text} ± {error:.4f}"


def format_count(value: float | None) -> str:
    """Write a count in thousands, millions, ..., with three significant digits."""
    if value is None or not math.isfinite(value):
        return MISSING
    for size, unit in _UNITS:
        if abs(value) >= 0.9995 * size:
            digits = 2 if abs(value) < 9.995 * size else 1 if abs(value) < 99.95 * size else 0
            return f"{value / size:.{digits}f}{unit}"
    return f"{value:.0f}"


def format_duration(seconds: float | None) -> str:
    """Write a duration in its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"
