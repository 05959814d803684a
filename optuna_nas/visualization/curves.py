"""Learning curves as a small SVG line chart, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from optuna_nas.visualization.drawing.canvas import (
    LINE,
    MUTED,
    Picture,
    card,
    element,
    plain,
    text,
    text_width,
)
from optuna_nas.visualization.drawing.levels import spread

__all__ = ["learning_curve_svg"]

Curve = Mapping[int, float]

_WIDTH, _HEIGHT, _TOP = 460.0, 220.0, 6.0
_COLOURS = ("#1d4ed8", "#b45309", "#0f766e", "#a21caf", "#be123c", "#475569")
_MOST_DOTS = 40
_HIGHEST = 1e150  # so that differences and ratios of values stay finite


def learning_curve_svg(
    values: Curve | Mapping[str, Curve],
    *,
    title: str | None = None,
    best: float | None = None,
    axis: str = "epoch",
) -> str:
    """Draw values by epoch.

    Args:
        values: One curve, as `{epoch: value}`, or several in the same unit by name, e.g.
            `{"validation": {...}, "training": {...}}`. A curve has a gap where its value is not
            finite.
        title: What stands above the chart.
        best: A value to compare with, such as the study's best: a dashed line.
        axis: What the keys of a curve count.

    Returns:
        A self-contained SVG document. Each curve ends with its last value, and with its name if
        there are several.
    """
    curves = _by_name(values)
    points = [point for curve in curves.values() for point in curve.items() if _drawable(point[1])]
    about = "; ".join(f"{plain(name)} {len(curve)} epochs" for name, curve in curves.items())
    if not points:
        nothing = Picture(150, 16, [text(0, 12, "No finite values yet.", fill=MUTED)])
        return card(nothing, title=title, about=about)
    heights = [value for _, value in points]
    if best is not None and _drawable(best):
        heights.append(best)
    epochs = _Scale.around([epoch for epoch, _ in points], 8, whole=True)
    chart = _Chart(epochs, _Scale.around(heights, 5))
    elements = chart.axes(axis)
    if best is not None and _drawable(best):
        elements += chart.reference(best)
    for i, curve in enumerate(curves.values()):
        elements += chart.line(dict(sorted(curve.items())), _COLOURS[i % len(_COLOURS)])
    labels, width = chart.last_values(curves)
    return card(Picture(width, _HEIGHT + 46, elements + labels), title=title, about=about)


def _by_name(values: Curve | Mapping[str, Curve]) -> dict[str, Curve]:
    if any(isinstance(value, Mapping) for value in values.values()):
        return dict(cast("Mapping[str, Curve]", values))
    return {"": cast("Curve", values)}


def _drawable(value: float) -> bool:
    return abs(value) < _HIGHEST


@dataclass(frozen=True)
class _Scale:
    """One axis: from where to where, and the ticks between."""

    low: float
    high: float
    ticks: list[float]

    @classmethod
    def around(cls, values: list[float] | list[int], most: int, *, whole: bool = False) -> _Scale:
        """A scale for these values with about `most` round ticks; whole ones end at the values."""
        low, high = float(min(values)), float(max(values))
        if low == high and not whole:
            margin = abs(low) * 0.1 or 1.0
            low, high = low - margin, high + margin
        step = _round_step((high - low) / most)
        step = max(round(step), 1) if whole else step
        first, last = math.floor(low / step), math.ceil(high / step)
        ticks = [
            round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)
        ]
        if whole:
            return cls(low, high, [tick for tick in ticks if low <= tick <= high])
        return cls(ticks[0], ticks[-1], ticks)

    def share(self, value: float) -> float:
        """Where a value is on the scale, from 0 to 1."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    @property
    def labels(self) -> list[str]:
        return [f"{tick:.10g}" for tick in self.ticks]


def _round_step(step: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below `step`."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= step * (1 - 1e-9))


class _Chart:
    """The axes of a chart, and what is drawn on them."""

    def __init__(self, epochs: _Scale, heights: _Scale) -> None:
        self.epochs = epochs
        self.heights = heights
        self.left = max(text_width(label, 11) for label in heights.labels) + 10
        self.right = self.left + _WIDTH

    def at(self, epoch: float, value: float) -> tuple[float, float]:
        """Where a point is, in pixels."""
        x = self.left + _WIDTH * (0.02 + 0.96 * self.epochs.share(epoch))
        return x, _TOP + _HEIGHT * (1 - self.heights.share(value))

    def axes(self, axis: str) -> list[str]:
        """Write the grid, the ticks and the name of the horizontal axis."""
        elements = []
        for value, label in zip(self.heights.ticks, self.heights.labels, strict=True):
            y = self.at(0, value)[1]
            grid = LINE if value == self.heights.low else "#e2e8f0"
            elements.append(element("path", d=f"M{self.left:.1f} {y:.1f}h{_WIDTH}", stroke=grid))
            elements.append(_note(self.left - 8, y + 4, label, "end"))
        bottom = _TOP + _HEIGHT
        for epoch, label in zip(self.epochs.ticks, self.epochs.labels, strict=True):
            x = self.at(epoch, 0)[0]
            elements.append(element("path", d=f"M{x:.1f} {bottom:.1f}v4", stroke=LINE))
            elements.append(_note(x, bottom + 18, label))
        middle = self.left + _WIDTH / 2
        elements.append(_note(middle, bottom + 36, axis))
        return elements

    def reference(self, best: float) -> list[str]:
        """Write the line to compare with."""
        y = self.at(0, best)[1]
        line = element(
            "path", d=f"M{self.left:.1f} {y:.1f}h{_WIDTH}", stroke=MUTED, stroke_dasharray="5 4"
        )
        below = y + 14 if y < _TOP + 18 else y - 5
        return [line, text(self.left + 6, below, f"best {best:.4g}", size=11, fill=MUTED)]

    def line(self, curve: Curve, colour: str) -> list[str]:
        """Write one curve: its unbroken runs, and a dot for every point if they are few."""
        elements = []
        dots = len(curve) <= _MOST_DOTS
        for run in _runs(curve):
            points = [self.at(epoch, value) for epoch, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            elements.append(
                element(
                    "polyline",
                    points=path,
                    fill="none",
                    stroke=colour,
                    stroke_width=2,
                    stroke_linejoin="round",
                )
            )
            shown = points if dots or len(points) == 1 else points[-1:]
            elements += [element("circle", cx=x, cy=y, r=2.6, fill=colour) for x, y in shown]
        return elements

    def last_values(self, curves: Mapping[str, Curve]) -> tuple[list[str], float]:
        """Write each curve's name and last value beside its end; return how far that reaches."""
        ends = {
            i: (name, curve[max(curve)])
            for i, (name, curve) in enumerate(curves.items())
            if curve and _drawable(curve[max(curve)])
        }
        heights = spread([self.at(0, value)[1] for _, value in ends.values()], 16)
        elements, width = [], self.right
        for (i, (name, value)), y in zip(ends.items(), heights, strict=True):
            label = f"{plain(name, 24)} {value:.4g}".strip()
            ink = _COLOURS[i % len(_COLOURS)]
            elements.append(text(self.right + 6, y + 4, label, fill=ink, font_weight=600))
            width = max(width, self.right + 6 + text_width(label, 12.5))
        return elements, width


def _note(x: float, y: float, line: str, anchor: str = "middle") -> str:
    return text(x, y, line, size=11, fill=MUTED, text_anchor=anchor)


def _runs(curve: Curve) -> Iterator[list[tuple[int, float]]]:
    """The stretches of a curve without a value that is not finite."""
    run: list[tuple[int, float]] = []
    for point in [*curve.items(), (0, math.nan)]:
        if _drawable(point[1]):
            run.append(point)
        elif run:
            yield run
            run = []
