from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import combinations
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import optuna
import pytest
from rich.console import Console

from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    ChainSpace,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    GeneticCNNSpace,
    HierarchicalSpace,
    NASBench101Space,
    NASBench201Space,
    NASNetSpace,
    SearchSpace,
)
from optuna_nas.visualization.cells import cell_svg
from optuna_nas.visualization.drawing.anatomy import cells
from optuna_nas.visualization.drawing.palette import colour, light_colour, short_name
from optuna_nas.visualization.drawing.terminal import cell_text

SVG = "{http://www.w3.org/2000/svg}"
DARTS_V1 = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('skip_connect', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
    "reduce_concat=[2, 3, 4, 5])"
)
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"

Rectangle = tuple[float, float, float, float]


def architectures() -> dict[str, Architecture]:
    rng = np.random.default_rng(0)
    spaces: dict[str, SearchSpace] = {
        "nb101": NASBench101Space(),
        "nb201": NASBench201Space(),
        "darts": DARTSSpace(),
        "edge-nes": EdgeNESSpace(),
        "chain": ChainSpace(),
        "genetic": GeneticCNNSpace(),
        "hierarchical": HierarchicalSpace(),
        "nasnet": NASNetSpace(),
        "dense": CellSpace(7, ("skip_connect", "nor_conv_3x3")),
    }
    random = {f"{k}-{i}": s.random(rng) for k, s in spaces.items() for i in range(3)}
    return {
        "DARTS_V1": DARTSSpace().parse(DARTS_V1),
        "cell": NASBench201Space().parse(CELL),
        **random,
    }


ALL = architectures()


def made_by_hand(*edges: tuple[str, str, str | None], **attributes: Any) -> Any:
    graph: nx.DiGraph[str] = nx.DiGraph(**attributes)
    for source, target, operation in edges:
        graph.add_edge(source, target, **({} if operation is None else {"operation": operation}))
    return SimpleNamespace(graph=graph, params={})


def drawn(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document)


def texts(document: str) -> list[str]:
    return ["".join(text.itertext()) for text in drawn(document).iter(f"{SVG}text")]


def placed(document: str) -> list[tuple[ElementTree.Element, np.ndarray]]:
    """All elements, with where their groups move them."""
    found: list[tuple[ElementTree.Element, np.ndarray]] = []

    def visit(element: ElementTree.Element, origin: np.ndarray) -> None:
        move = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
        if move is not None:
            origin = np.add(origin, [float(move[1]), float(move[2])])
        found.append((element, origin))
        for child in element:
            visit(child, origin)

    visit(drawn(document), np.zeros(2))
    return found


def boxes(document: str) -> list[Rectangle]:
    """The capsules and pills as (left, top, right, bottom); not the card behind them."""
    rectangles = []
    for element, origin in placed(document):
        if element.tag == f"{SVG}rect":
            x, y, width, height = (float(element.get(k, 0)) for k in ("x", "y", "width", "height"))
            left, top = np.add(origin, [x, y])
            rectangles.append((left, top, left + width, top + height))
    return rectangles[1:]


def curve_points(document: str) -> list[np.ndarray]:
    """Every edge as a dense row of points, n x 2."""
    edges = []
    for element, origin in placed(document):
        if element.tag != f"{SVG}path" or element.get("fill") != "none":
            continue
        points = np.empty((0, 2))
        for command, numbers in re.findall(r"([MHC])([^MHC]*)", element.get("d", "")):
            values = np.array([float(number) for number in numbers.split()])
            if command == "M":
                more = values[None]
            elif command == "H":
                more = np.linspace(points[-1], [values[0], points[-1, 1]], 20)
            else:
                control = np.concatenate([points[-1:], values.reshape(3, 2)])  # 4 x 2
                t = np.linspace(0, 1, 20)[:, None]
                weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
                more = np.concatenate(weights, axis=1) @ control
            points = np.concatenate([points, more])
        edges.append(points + origin)
    return edges


@pytest.mark.parametrize("name", ALL)
def test_boxes_do_not_overlap_and_edges_cross_none(name: str) -> None:
    document = cell_svg(ALL[name], title=name)
    found = boxes(document)
    for a, b in combinations(found, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    svg = drawn(document)
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    assert all(x0 > 0 and x1 < width and y0 > 0 and y1 < height for x0, y0, x1, y1 in found)
    for points in curve_points(document):
        for x0, y0, x1, y1 in found:
            inside = (points[:, 0] > x0 + 9) & (points[:, 0] < x1 - 9)  # beyond the round ends
            inside &= (points[:, 1] > y0 + 1) & (points[:, 1] < y1 - 1)
            assert not inside.any()


@pytest.mark.parametrize("name", ALL)
def test_every_operation_has_one_pill_of_its_colour(name: str) -> None:
    architecture = ALL[name]
    document = cell_svg(architecture)
    count: dict[str, int] = {}
    for cell in cells(architecture):
        for operation, times in cell.operations.items():
            count[operation] = count.get(operation, 0) + times
    assert sum(count.values()) == sum(
        operation is not None
        for _, _, operation in [
            *architecture.graph.edges(data="operation"),
            *((0, 0, operation) for _, operation in architecture.graph.nodes(data="operation")),
        ]
    )
    fills = [rect.get("fill") for rect in drawn(document).iter(f"{SVG}rect")]
    for operation, times in count.items():
        expected = 0 if operation == "none" else times
        assert texts(document).count(short_name(operation)) == expected
        assert fills.count(colour(operation)) == expected
        assert f"{operation}\N{MULTIPLICATION SIGN}{times}" in texts(document)


def test_nasbench201_is_drawn_without_crossings() -> None:
    """A cell of four nodes is a planar graph, and can be drawn so from left to right."""
    space = NASBench201Space()
    everywhere = dict.fromkeys(space.distributions, "nor_conv_3x3")
    lines = curve_points(cell_svg(space.architecture(everywhere)))
    assert len(lines) == 12  # into each of six pills, and out of it
    for a, b in combinations(lines, 2):
        left, right = max(a[0, 0], b[0, 0]) + 10, min(a[-1, 0], b[-1, 0]) - 10
        xs = np.linspace(left, right, 50) if left < right else np.empty(0)
        above = np.interp(xs, a[:, 0], a[:, 1]) - np.interp(xs, b[:, 0], b[:, 1])
        assert (above > 0).all() or (above < 0).all()


def test_what_is_cut_off_is_faint() -> None:
    text = "|none~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|none~1|none~2|"
    architecture = NASBench201Space().parse(text)
    [cell] = cells(architecture)
    assert cell.contributing == {0, 3, (0, 3)}
    svg = drawn(cell_svg(architecture))
    faint = [group for group in svg.iter(f"{SVG}g") if group.get("opacity")]
    labels = {
        t for group in faint for t in ("".join(e.itertext()) for e in group.iter(f"{SVG}text"))
    }
    assert labels == {"1", "2", "conv 3x3", "avg pool 3x3"}
    assert sum(1 for path in svg.iter(f"{SVG}path") if path.get("stroke-dasharray") == "2 5") == 3
    [whole] = cells(ALL["cell"])
    assert whole.contributing == {0, 1, 3, (0, 1), (1, 3), (0, 3)}


def test_darts_has_two_captions_and_subscripts() -> None:
    found = texts(cell_svg(ALL["DARTS_V1"], title="DARTS_V1"))
    assert found[:2] == ["DARTS_V1", "normal cell"] and "reduce cell" in found
    assert found.count("ck-2") == found.count("ck-1") == found.count("output") == 2


def test_a_flat_space_is_a_table() -> None:
    space = FlatSpace(
        {
            "rate": optuna.distributions.FloatDistribution(0.125, 0.125),
            "<layers>": optuna.distributions.IntDistribution(3, 3),
            "act": optuna.distributions.CategoricalDistribution(["relu"]),
        }
    )
    architecture = space.random(np.random.default_rng(0))
    expected = {"rate": "0.125", "<layers>": "3", "act": "relu"}
    found = texts(cell_svg(architecture))
    assert dict(zip(found[::2], found[1::2], strict=True)) == expected
    shown = as_text(architecture)
    assert all(re.search(rf"{name}\s+{value}", shown) for name, value in expected.items())


@pytest.mark.parametrize(
    "operation",
    [
        '</text><script>alert("x")</script>',
        "a&b;\"'<!--",
        "nul\x00 bell\x07 escape\x1b[31m",
        "\ud800\uffff\u202e",
        "名" * 300,
        "x" * 1000,
        "[bold red]markup[/]",
        "",
    ],
)
def test_hostile_names_are_harmless(operation: str) -> None:
    architecture = made_by_hand(
        ("in<", "out", operation), ("in<", "<b>", None), ("<b>", "out", "x")
    )
    document = cell_svg(architecture, title=operation)
    svg = drawn(document)
    allowed = {"svg", "g", "rect", "path", "polygon", "circle", "text", "tspan", "title", "desc"}
    assert {element.tag.removeprefix(SVG) for element in svg.iter()} <= allowed
    assert not any(key.startswith("on") for element in svg.iter() for key in element.attrib)
    assert float(svg.get("width", 0)) < 2000
    document.encode()
    shown = as_text(architecture)
    assert "\x1b" not in shown and "\x07" not in shown
    if "markup" in operation:
        assert "[bold red]markup[/]" in shown


def test_the_drawing_depends_on_nothing_but_the_architecture() -> None:
    code = (
        "import hashlib, sys; from optuna_nas.spaces import DARTSSpace;"
        "from optuna_nas.visualization.cells import cell_svg;"
        f"svg = cell_svg(DARTSSpace().parse({DARTS_V1!r}));"
        "assert not {'torch', 'plotly', 'datasets'} & set(sys.modules), sys.modules;"
        "print(hashlib.sha256(svg.encode()).hexdigest())"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert digests[0] == digests[1] != ""
    assert "id=" not in cell_svg(ALL["cell"])  # drawings can share a page


def as_text(architecture: Architecture, **options: Any) -> str:
    console = Console(width=100, color_system="truecolor" if options else None, record=True)
    with console.capture() as capture:
        console.print(cell_text(architecture, **options))
    return capture.get()


def test_text_of_operations_on_edges() -> None:
    lines = [re.sub(r" +", " ", line).strip() for line in as_text(ALL["cell"]).splitlines()]
    assert lines == [
        "1 ← input ■ conv 3x3",
        "2 ← input ■ conv 3x3",
        "← 1 ■ avg pool 3x3",
        "output ← input ■ skip",
        "← 1 ■ conv 1x1",
        "← 2 · none",
    ]


def test_text_of_operations_on_nodes() -> None:
    matrix = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    graph: nx.DiGraph[int] = nx.DiGraph(list(zip(*np.nonzero(matrix), strict=True)))
    nx.set_node_attributes(graph, {1: "conv3x3-bn-relu", 2: "maxpool3x3"}, "operation")
    nx.set_node_attributes(graph, dict(enumerate(["input", "?", "?", "output"])), "label")
    shown = as_text(SimpleNamespace(graph=graph, params={}))  # type: ignore[arg-type]
    lines = [re.sub(r" +", " ", line).strip() for line in shown.splitlines()]
    assert lines == ["1 ← input ■ conv 3x3", "2 ← input, 1 ■ max pool 3x3", "output ← 1, 2"]


def test_text_of_two_cells_stands_side_by_side() -> None:
    lines = as_text(ALL["DARTS_V1"]).splitlines()
    assert lines[0].split() == ["normal", "cell", "reduce", "cell"]
    assert lines[-1].count("output  ← 2, 3, 4, 5") == 2


def test_text_has_colours_only_if_asked() -> None:
    assert "\x1b[38;2;" in as_text(ALL["cell"], colour=True)
    assert "\x1b" not in as_text(ALL["cell"], colour=False)


def luminance(code: str) -> float:
    parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(a: str, b: str) -> float:
    high, low = sorted([luminance(a), luminance(b)], reverse=True)
    return (high + 0.05) / (low + 0.05)


OPERATIONS = [
    *("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "max_pool_3x3"),
    *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
]


def test_colours_carry_white_text_and_read_on_any_terminal() -> None:
    for operation in [*OPERATIONS, *(f"operation_{i}" for i in range(300))]:
        assert contrast(colour(operation), "#ffffff") >= 4.5
        assert contrast(light_colour(operation), "#000000") >= 4
        assert contrast(light_colour(operation), "#ffffff") >= 4


def test_known_operations_have_different_colours_and_synonyms_the_same() -> None:
    assert len({colour(operation) for operation in OPERATIONS}) == len(OPERATIONS)
    assert colour("conv3x3-bn-relu") == colour("nor_conv_3x3") == colour("conv_3x3")
    assert colour("maxpool3x3") == colour("max_pool_3x3")


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("nor_conv_3x3", "conv 3x3"),
        ("conv1x1-bn-relu", "conv 1x1"),
        ("maxpool3x3", "max pool 3x3"),
        ("skip_connect", "skip"),
        ("dil_conv_5x5", "dil conv 5x5"),
        ("none", "none"),
        ("mlp2", "mlp2"),
        ("my-own_op", "my-own op"),
        ("a_very_long_operation_name", "a very long operation…"),
    ],
)
def test_short_names(operation: str, name: str) -> None:
    assert short_name(operation) == name
