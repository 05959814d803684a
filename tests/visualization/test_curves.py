from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_nas.visualization.curves import learning_curve_svg

SVG = "{http://www.w3.org/2000/svg}"


def polylines(document: str) -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (p.split(",") for p in line.get("points", "").split())]
        for line in ElementTree.fromstring(document).iter(f"{SVG}polyline")
    ]


def texts(document: str) -> list[str]:
    return ["".join(t.itertext()) for t in ElementTree.fromstring(document).iter(f"{SVG}text")]


def test_points_are_where_the_axes_say() -> None:
    document = learning_curve_svg({0: 0.0, 5: 0.25, 10: 1.0}, title="Trial <3>")
    [[start, middle, end]] = polylines(document)
    assert middle[0] - start[0] == pytest.approx(end[0] - middle[0])
    assert (start[1] - middle[1]) * 4 == pytest.approx(start[1] - end[1])
    svg = ElementTree.fromstring(document)
    labels = {
        "".join(text.itertext()): float(text.get("y", 0))
        for text in svg.iter(f"{SVG}text")
        if text.get("text-anchor") == "end"
    }
    assert list(labels) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert labels["0"] - 4 == pytest.approx(start[1])
    assert labels["1"] - 4 == pytest.approx(end[1])
    found = texts(document)
    assert found[0] == "Trial <3>" and found[-1] == "1" and "epoch" in found


def test_the_order_of_the_dict_does_not_matter() -> None:
    assert learning_curve_svg({2: 1.0, 0: 3.0}) == learning_curve_svg({0: 3.0, 2: 1.0})


def test_a_gap_where_a_value_is_not_finite() -> None:
    document = learning_curve_svg({0: 1.0, 1: 2.0, 2: math.nan, 3: 2.0, 4: math.inf, 5: 1.5})
    assert [len(line) for line in polylines(document)] == [2, 1, 1]
    assert texts(document)[-1] == "1.5"
    diverged = learning_curve_svg({0: 1.0, 1: 2.0, 2: math.nan})
    assert texts(diverged)[-1] == "epoch"  # no value is shown as the last that is not


def test_missing_epochs_are_no_gap() -> None:
    assert [len(line) for line in polylines(learning_curve_svg({0: 1.0, 5: 2.0, 10: 3.0}))] == [3]


@pytest.mark.parametrize("values", [{}, {0: math.nan}, {0: math.inf, 1: -math.inf}])
def test_nothing_to_draw(values: dict[int, float]) -> None:
    assert texts(learning_curve_svg(values)) == ["No finite values yet."]


def test_several_curves_are_named_and_their_labels_kept_apart() -> None:
    document = learning_curve_svg(
        {"validation": {0: 0.5, 1: 0.9}, "training & more": {0: 0.6, 1: 0.9001}}
    )
    svg = ElementTree.fromstring(document)
    lines = [line.get("stroke") for line in svg.iter(f"{SVG}polyline")]
    labels = [text for text in svg.iter(f"{SVG}text") if text.get("font-weight") == "600"]
    assert [text.get("fill") for text in labels] == lines and len(set(lines)) == 2
    assert [text.text for text in labels] == ["validation 0.9", "training & more 0.9001"]
    heights = [float(text.get("y", 0)) for text in labels]
    assert abs(heights[0] - heights[1]) >= 15.9
    width = float(svg.get("width", 0))
    assert all(float(text.get("x", 0)) < width - 60 for text in labels)


def test_the_best_value_is_a_line_inside_the_chart() -> None:
    document = learning_curve_svg({0: 0.1, 1: 0.2}, best=0.75)
    assert "best 0.75" in texts(document)
    [dashed] = [
        path
        for path in ElementTree.fromstring(document).iter(f"{SVG}path")
        if path.get("stroke-dasharray")
    ]
    match = re.match(r"M\S+ ([\d.]+)h", dashed.get("d", ""))
    assert match is not None
    [[_, end]] = polylines(document)
    assert 6 <= float(match[1]) < end[1]
    assert "best" not in learning_curve_svg({0: 0.1}, best=math.nan)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 10**6), st.floats(allow_nan=True, allow_infinity=True), max_size=60
    )
)
def test_any_values_give_a_drawing_inside_its_card(values: dict[int, float]) -> None:
    document = learning_curve_svg(values)
    svg = ElementTree.fromstring(document)
    assert "nan" not in document and "inf" not in document.replace("finite", "")
    width = float(svg.get("width", 0))
    for line in polylines(document):
        assert all(0 < x < width and 5.9 <= y <= 226.1 for x, y in line)
    ticks = [text for text in svg.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert len(ticks) <= 9 and len({"".join(tick.itertext()) for tick in ticks}) == len(ticks)
