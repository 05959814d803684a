from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from optuna_nas.compare import Comparison, Run
from optuna_nas.visualization.regret import plot_regret
from optuna_nas.visualization.regret_curves import regret_curves, value_range
from optuna_nas.visualization.regret_svg import regret_svg

SVG = "{http://www.w3.org/2000/svg}"


def comparison(values: Mapping[str, Sequence[tuple[float, ...]]], **settings: Any) -> Comparison:
    """Runs with an optimum of 10, one for each tuple."""
    [length] = {len(run) for runs in values.values() for run in runs}
    return Comparison(
        {
            "name": "bench <b>",
            "metric": "accuracy",
            "direction": "maximize",
            "optimum": 10.0,
            "worst": 0.0,
            "n_trials": length,
            **settings,
        },
        [
            Run(sampler, "", seed, run, (0.001,) * length)
            for sampler, runs in values.items()
            for seed, run in enumerate(runs)
        ],
    )


def two() -> Comparison:
    return comparison(
        {
            "first": [(0.0, 6.0, 9.0, 9.5), (2.0, 4.0, 9.0, 9.5), (4.0, 5.0, 9.0, 9.5)],
            "second & <i>": [(1.0, 1.0, 1.0, 10.0), (1.0, 1.0, 1.0, 10.0)],
        }
    )


def elements(document: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(document).iter(f"{SVG}{name}"))


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (point.split(",") for point in element.get("points", "").split())
    return [(float(x), float(y)) for x, y in pairs]


def texts(document: str) -> list[str]:
    return ["".join(text.itertext()) for text in elements(document, "text")]


def test_means_and_intervals_by_hand() -> None:
    first, second = regret_curves(two())
    assert first.line.tolist() == [8, 5, 1, 0.5]
    half = 4.302652729911275 * np.array([2.0, 1.0, 0.0, 0.0]) / math.sqrt(3)
    assert first.high == pytest.approx(first.line + half)
    assert first.low == pytest.approx(first.line - half)
    assert first.seeds == 3 and second.seeds == 2
    assert second.line.tolist() == second.low.tolist() == [9, 9, 9, 0]
    assert first.colour != second.colour


def test_a_band_ends_at_zero() -> None:
    [curve] = regret_curves(comparison({"a": [(10.0,), (0.0,)]}))
    assert curve.line.tolist() == [5] and curve.low.tolist() == [0] and curve.high[0] > 60


def test_medians_and_quartiles_by_hand() -> None:
    runs = [(float(value),) for value in (9, 8, 6, 2, 1)]
    [curve] = regret_curves(comparison({"a": runs}), "median")
    assert (curve.low[0], curve.line[0], curve.high[0]) == (2, 4, 8)
    with pytest.raises(ValueError, match=r"`statistic` is 'mode'; allowed are \['mean', 'median'"):
        regret_curves(two(), "mode")  # type: ignore[arg-type]


def test_what_the_axes_show() -> None:
    curves = regret_curves(two())
    low, high = value_range(curves, log=True)
    assert low == 0.25  # half of the smallest that is not zero
    assert high == max(float(curve.high.max()) for curve in curves)
    assert value_range(curves, log=False) == pytest.approx((0, 1.1 * 9))
    found = regret_curves(comparison({"a": [(10.0, 10.0)]}))
    assert value_range(found, log=False) == (0, 1) and value_range(found, log=True) == (0.1, 1)
    # A long curve is shown from where it is after a tenth of the trainings.
    long = comparison({"a": [tuple(float(i) / 2 for i in range(20))]})
    assert value_range(regret_curves(long), log=False)[1] == pytest.approx(1.1 * 9)


@pytest.mark.parametrize("log", [False, True])
def test_the_figure_has_a_line_and_a_band_for_each_sampler(log: bool) -> None:
    figure = plot_regret(two(), log=log)
    assert len(figure.data) == 4
    band, line = figure.data[:2]
    floor = 0.25 if log else 0.0
    assert list(line.x) == [1, 2, 3, 4]
    assert list(line.y) == [8, 5, 1, 0.5]
    assert len(band.y) == 8 and min(band.y) >= floor
    assert band.y[0] == pytest.approx(8 + 4.302652729911275 * 2 / math.sqrt(3))
    assert list(figure.data[3].y) == [9, 9, 9, floor]
    assert "after 4: 0 (0 to 0)" in figure.data[3].hovertext[3]
    assert figure.layout.yaxis.type == ("log" if log else None)
    assert ("cut at 0.25" in figure.layout.yaxis.title.text) is log


def test_names_are_shown_as_they_are() -> None:
    figure = plot_regret(two())
    assert figure.data[3].name == "second &amp; &lt;i&gt;"
    assert figure.layout.title.text.startswith("bench &lt;b&gt;")
    document = regret_svg(two())
    assert texts(document)[0] == "bench <b>: accuracy"
    assert "second & <i>0" in texts(document)


@pytest.mark.parametrize("log", [False, True])
def test_points_are_where_the_axes_say(log: bool) -> None:
    document = regret_svg(two(), log=log)
    first, second = (points(line) for line in elements(document, "polyline"))
    ticks = {
        float("".join(text.itertext())): float(text.get("y", 0)) - 4
        for text in elements(document, "text")
        if text.get("text-anchor") == "end"
    }
    assert len(ticks) >= 3
    [(low, y_low), *_, (high, y_high)] = sorted(ticks.items())
    scale = math.log if log else float
    for (_, y), regret in zip(first, (8, 5, 1, 0.5), strict=True):
        share = (scale(regret) - scale(low)) / (scale(high) - scale(low))
        assert y == pytest.approx(y_low + share * (y_high - y_low), abs=0.2)
    steps = np.diff([x for x, _ in first])
    assert steps == pytest.approx([steps[0]] * 3, abs=0.11)
    assert second[-1][1] == pytest.approx(280, abs=0.1)  # zero is the lower edge on either axis
    assert ("log" in "".join(texts(document))) is log


def test_a_curve_from_above_enters_at_the_upper_edge() -> None:
    runs = [(-90.0, -40.0, 5.0, 6.0, 7.0, 7.0, 7.0, 8.0, 8.0, 8.0) * 3]
    document = regret_svg(comparison({"a": runs}, worst=-90.0))
    [line] = (points(polyline) for polyline in elements(document, "polyline"))
    assert line[0][1] == pytest.approx(0) and len(line) == 28  # 27 inside, and the crossing
    assert all(-0.01 <= y <= 280.01 for _, y in line)
    step = line[2][0] - line[1][0]
    # The axis ends at 4.4; from 5 to 4 it is crossed after 0.6 of a step.
    assert line[1][0] - line[0][0] == pytest.approx(0.4 * step, abs=0.11)


def test_labels_are_apart_and_inside() -> None:
    names = [f"sampler {i}" for i in range(8)]
    document = regret_svg(comparison({name: [(10.0, 10.0)] for name in names}))
    labels = [text for text in elements(document, "text") if text.get("font-weight") == "600"][1:]
    heights = [float(text.get("y", 0)) for text in labels]
    assert len(heights) == 8
    assert np.diff(sorted(heights)).min() >= 16.9
    assert max(heights) <= 290 and min(heights) > 0
    dots = {circle.get("fill") for circle in elements(document, "circle")}
    assert len(dots) == 8
    svg = ElementTree.fromstring(document)
    assert float(svg.get("width", 0)) > max(float(text.get("x", 0)) for text in labels) + 60


def test_a_narrow_logarithmic_axis_has_ticks_too() -> None:
    document = regret_svg(comparison({"a": [(9.58, 9.58)]}), log=True)
    ticks = [text for text in elements(document, "text") if text.get("text-anchor") == "end"]
    assert len(ticks) >= 2
