"""The comparison of samplers as a small SVG drawing, without a plotting library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas.visualization.drawing.canvas import (
    INK,
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
from optuna_nas.visualization.formats import format_value
from optuna_nas.visualization.regret_curves import (
    BANDS,
    RegretCurve,
    Statistic,
    regret_curves,
    value_range,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optuna_nas.compare import Comparison

__all__ = ["regret_svg"]

_WIDTH, _HEIGHT = 520.0, 280.0
_GRID = "#e2e8f0"
_Point = tuple[float, float]


def regret_svg(
    comparison: Comparison,
    *,
    statistic: Statistic = "mean",
    log: bool = False,
    title: str | None = None,
) -> str:
    """Draw the regret of each sampler after each training.

    Args:
        comparison: The comparison.
        statistic: `"mean"`, with the 95 % confidence interval, or `"median"`, with the quartiles.
        log: Whether regrets are on a logarithmic axis.
        title: What stands above; None is the benchmark.

    Returns:
        A self-contained SVG document. Each curve ends with its name and its last regret.

    Raises:
        ValueError: The statistic is unknown.
    """
    curves = regret_curves(comparison, statistic)
    low, high = value_range(curves, log=log)
    heights = _Logarithmic(low, high) if log else _Linear(low, high)
    trainings = _Linear(0.0, float(comparison.n_trials))
    ticks = [f"{tick:g}" for tick in heights.ticks(6)]
    left = max(text_width(tick, 11) for tick in [*ticks, "0"]) + 26
    chart = _Chart(left, trainings, heights)
    elements = chart.axes(f"regret ({BANDS[statistic]})" + (", log" if log else ""))
    elements += [chart.band(curve) for curve in curves]
    elements += [chart.line(curve) for curve in curves]
    labels, width = chart.names(curves)
    about = "; ".join(
        f"{plain(curve.sampler)} {format_value(float(curve.line[-1]))} after {len(curve.line)} "
        f"trainings, {curve.seeds} seeds"
        for curve in curves
    )
    heading = f"{comparison.name}: {comparison.metric}" if title is None else title
    picture = Picture(width, _HEIGHT + 46, elements + labels)
    return card(picture, title=heading, about=f"Regret: {about}")


@dataclass(frozen=True)
class _Linear:
    """An axis from `low` to `high`."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value is, from 0 to 1; what is outside is at the end."""
        inside = min(max(value, self.low), self.high)
        return (inside - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[float]:
        """About `most` round numbers on the axis."""
        least = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(least))
        step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= least * (1 - 1e-9))
        first, last = math.ceil(self.low / step), math.floor(self.high / step + 1e-9)
        return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


@dataclass(frozen=True)
class _Logarithmic:
    """An axis of positive values, from `low` to `high`, in powers of ten."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value is, from 0 to 1; what is outside is at the end."""
        inside = min(max(value, self.low), self.high)
        return math.log(inside / self.low) / math.log(self.high / self.low)

    def ticks(self, most: int) -> list[float]:
        """The powers of ten, with 2 and 5 times them if there is room; others if too few."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        marks = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
        inside = [mark for mark in marks if self.low <= mark <= self.high]
        whole = [mark for mark in inside if math.log10(mark).is_integer()]
        if len(inside) < 2:
            return _Linear(self.low, self.high).ticks(most // 2)
        return inside if len(inside) <= most else whole


@dataclass(frozen=True)
class _Chart:
    """The axes, and where a point is in pixels."""

    left: float
    trainings: _Linear
    heights: _Linear | _Logarithmic

    def at(self, training: float, value: float) -> _Point:
        x = self.left + _WIDTH * self.trainings.share(training)
        return x, _HEIGHT * (1 - self.heights.share(value))

    def axes(self, name: str) -> list[str]:
        """Write the grid, the ticks and the names of both axes."""
        elements = []
        for value in self.heights.ticks(6):
            y = self.at(0, value)[1]
            elements.append(element("path", d=f"M{self.left:.1f} {y:.1f}h{_WIDTH}", stroke=_GRID))
            elements.append(_note(self.left - 8, y + 4, f"{value:g}", "end"))
        bottom = element("path", d=f"M{self.left:.1f} {_HEIGHT}h{_WIDTH}", stroke=LINE)
        elements.append(bottom)
        for training in self.trainings.ticks(8):
            x = self.at(training, 0)[0]
            elements.append(element("path", d=f"M{x:.1f} {_HEIGHT}v4", stroke=LINE))
            elements.append(_note(x, _HEIGHT + 18, f"{training:g}"))
        elements.append(_note(self.left + _WIDTH / 2, _HEIGHT + 38, "trainings"))
        turned = f"translate(6 {_HEIGHT / 2:g}) rotate(-90)"
        return [*elements, element("g", _note(0, 4, name), transform=turned)]

    def band(self, curve: RegretCurve) -> str:
        """Write the band of a curve as one area."""
        upper = [self.at(n, value) for n, value in enumerate(curve.high.tolist(), start=1)]
        lower = [self.at(n, value) for n, value in enumerate(curve.low.tolist(), start=1)]
        return element(
            "polygon", points=_points([*upper, *lower[::-1]]), fill=curve.colour, fill_opacity=0.15
        )

    def line(self, curve: RegretCurve) -> str:
        """Write a curve from where it enters the chart."""
        values = curve.line.tolist()
        start = next((i for i, value in enumerate(values) if value <= self.heights.high), 0)
        points = [self.at(n, value) for n, value in enumerate(values, start=1)][start:]
        if start:
            above, inside = values[start - 1], values[start]
            share = (above - self.heights.high) / (above - inside)
            points.insert(0, self.at(start + share, self.heights.high))
        return element(
            "polyline",
            points=_points(points),
            fill="none",
            stroke=curve.colour,
            stroke_width=2,
            stroke_linejoin="round",
        )

    def names(self, curves: list[RegretCurve]) -> tuple[list[str], float]:
        """Write each curve's name and last value beside its end; return how far that reaches."""
        right = self.left + _WIDTH
        ends = [self.at(len(curve.line), float(curve.line[-1]))[1] for curve in curves]
        heights = spread(ends, 17)
        over = max(max(heights) - (_HEIGHT + 4), 0.0)  # labels near zero move up together
        elements, width = [], right
        for curve, height in zip(curves, heights, strict=True):
            y = height - over
            label, value = plain(curve.sampler, 32), format_value(float(curve.line[-1]))
            elements.append(element("circle", cx=right + 11, cy=y, r=4, fill=curve.colour))
            elements.append(text(right + 20, y + 4, label, value, fill=INK, font_weight=600))
            width = max(width, right + 28 + text_width(f"{label} {value}", 12.5))
        return elements, width


def _points(points: Iterable[_Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _note(x: float, y: float, line: str, anchor: str = "middle") -> str:
    return text(x, y, line, size=11, fill=MUTED, text_anchor=anchor)
