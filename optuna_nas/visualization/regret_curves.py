"""The curves of a comparison of samplers: what the figure and the drawing show, and in what range.

A curve is the mean regret with its 95 % confidence interval (Student's), or the median with the
quartiles. Regrets start high and end near zero, so a linear axis ends where the curves are after a
tenth of the trainings, and a logarithmic one is cut at half of the smallest regret that is not
zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from optuna_nas._choices import choose
from optuna_nas.compare.statistics import mean_interval

if TYPE_CHECKING:
    from optuna_nas.compare import Comparison

__all__ = ["BANDS", "COLOURS", "RegretCurve", "Statistic", "regret_curves", "value_range"]

Statistic = Literal["mean", "median"]

BANDS: Mapping[str, str] = {"mean": "mean, 95 % interval", "median": "median, quartiles"}
"""What a statistic is shown with."""

# Bright enough for black and dark enough for white.
COLOURS = (
    "#e07b39",
    "#5b8fc9",
    "#3f9e78",
    "#b8649f",
    "#a8902a",
    "#7f74d4",
    "#d1565f",
    "#7d8896",
)
_Triple = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class RegretCurve:
    """The regret of one sampler after 1, 2, ... trainings.

    Attributes:
        sampler: Its label.
        colour: Its colour, `#rrggbb`; the same in every picture of the comparison.
        seeds: How many runs there are.
        line: The mean or median regret.
        low: The lower end of the band, never below zero.
        high: The upper end.
    """

    sampler: str
    colour: str
    seeds: int
    line: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def regret_curves(comparison: Comparison, statistic: Statistic = "mean") -> list[RegretCurve]:
    """Return a curve for each sampler, in their order.

    Args:
        comparison: The comparison.
        statistic: What the line is: `"mean"` or `"median"`.

    Raises:
        ValueError: The statistic is unknown.
    """
    summarise = choose("statistic", statistic, _STATISTICS)
    curves = []
    for i, sampler in enumerate(comparison.samplers):
        regrets = comparison.regrets(sampler)
        line, low, high = summarise(regrets)
        colour = COLOURS[i % len(COLOURS)]
        curves.append(RegretCurve(sampler, colour, len(regrets), line, np.maximum(low, 0.0), high))
    return curves


def value_range(curves: list[RegretCurve], *, log: bool) -> tuple[float, float]:
    """Return the smallest and the largest regret that is shown."""
    if not log:
        start = len(curves[0].line) // 10
        top = max(float(curve.line[start:].max()) for curve in curves)
        return 0.0, 1.1 * top or 1.0
    lines = np.concatenate([curve.line for curve in curves])
    positive = lines[lines > 0]
    if not len(positive):
        return 0.1, 1.0
    highest = max(float(curve.high.max()) for curve in curves)
    return float(positive.min()) / 2, max(highest, float(positive.max()))


def _mean(regrets: NDArray[np.float64]) -> _Triple:
    return regrets.mean(axis=0), *mean_interval(regrets)


def _median(regrets: NDArray[np.float64]) -> _Triple:
    low, middle, high = np.quantile(regrets, [0.25, 0.5, 0.75], axis=0)
    return middle, low, high


_STATISTICS: Mapping[str, Callable[[NDArray[np.float64]], _Triple]] = {
    "mean": _mean,
    "median": _median,
}
