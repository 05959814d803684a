"""Any Optuna parameters as a space: ranges, grids and moves."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces import FlatSpace
from optuna_nas.spaces.values import draw, from_unit, perturb, unit

Numeric = FloatDistribution | IntDistribution


@st.composite
def numeric(draw: st.DrawFn) -> Numeric:
    """Integers and floats, log or not, with or without a grid."""
    log = draw(st.booleans())
    steps = draw(st.integers(1, 50))  # the high end lies on the grid, else Optuna warns
    if draw(st.booleans()):
        low = draw(st.integers(1 if log else -1000, 1000))
        step = 1 if log else draw(st.integers(1, 20))
        return IntDistribution(low, low + steps * step, log=log, step=step)
    if not log and draw(st.booleans()):
        first = draw(st.integers(-100, 100))
        step_size = draw(st.sampled_from((0.1, 0.05, 0.25, 1.0, 3.7)))
        start, stop = (round(n * step_size, 6) for n in (first, first + steps))
        return FloatDistribution(start, stop, step=step_size)
    start = draw(st.floats(1e-9 if log else -1e6, 1e6))
    return FloatDistribution(start, start + draw(st.floats(0.1, 1e6)), log=log)


@given(numeric(), st.integers(0, 2**32 - 1))
def test_draws_are_in_the_distribution(distribution: Numeric, seed: int) -> None:
    value = draw(distribution, np.random.default_rng(seed))
    assert distribution._contains(distribution.to_internal_repr(value))
    assert type(value) is (int if isinstance(distribution, IntDistribution) else float)


@given(numeric(), st.integers(0, 2**32 - 1))
def test_a_perturbed_value_is_another_one_in_the_distribution(
    distribution: Numeric, seed: int
) -> None:
    assume(not distribution.single())
    rng = np.random.default_rng(seed)
    value = draw(distribution, rng)
    moved = perturb(value, distribution, rng)
    assert moved != value
    assert distribution._contains(distribution.to_internal_repr(moved))
    assert type(moved) is type(value)


@given(numeric(), st.integers(0, 2**32 - 1))
def test_unit_and_back(distribution: Numeric, seed: int) -> None:
    value = draw(distribution, np.random.default_rng(seed))
    position = unit(value, distribution)
    assert 0 <= position <= 1
    again = from_unit(position, distribution)
    if isinstance(distribution, IntDistribution):
        assert again == value
    else:
        span = distribution.high - distribution.low
        assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-9 * span)


@given(numeric())
def test_the_ends_are_zero_and_one(distribution: Numeric) -> None:
    assume(not distribution.single())
    assert unit(distribution.low, distribution) == 0
    assert unit(distribution.high, distribution) == 1
    assert from_unit(0.0, distribution) == pytest.approx(distribution.low)
    assert from_unit(1.0, distribution) == pytest.approx(distribution.high)


def test_unit_is_the_log_scale_where_the_distribution_is_log() -> None:
    assert unit(1e-3, FloatDistribution(1e-5, 1e-1, log=True)) == pytest.approx(0.5)
    assert unit(4, IntDistribution(1, 16, log=True)) == pytest.approx(0.5)
    assert unit(4, IntDistribution(0, 16)) == pytest.approx(0.25)
    assert from_unit(0.5, IntDistribution(1, 16, log=True)) == 4
    assert from_unit(0.49, FloatDistribution(0, 1, step=0.25)) == 0.5
    assert from_unit(0.3, IntDistribution(0, 10, step=5)) == 5
    # Outside of a range that has changed: the nearest end.
    assert unit(99, IntDistribution(0, 16)) == 1
    assert unit(-1, FloatDistribution(1e-5, 1, log=True)) == 0
    assert unit(3, IntDistribution(3, 3)) == 0.5


@pytest.mark.parametrize(
    ("distribution", "scale"),
    [
        (FloatDistribution(2.0, 6.0), lambda v: (v - 2) / 4),
        (FloatDistribution(1e-4, 1.0, log=True), lambda v: 1 + math.log10(v) / 4),
    ],
)
def test_draws_are_uniform(distribution: Numeric, scale: Any, rng: np.random.Generator) -> None:
    positions = [scale(draw(distribution, rng)) for _ in range(2_000)]
    counts, _ = np.histogram(positions, bins=10, range=(0, 1))
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # 99.9 %, 9 degrees of freedom


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(0, 3), [0, 1, 2, 3]),
        (IntDistribution(1, 9, step=4), [1, 5, 9]),
        (FloatDistribution(0.0, 0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),
        (CategoricalDistribution(("x", None, 2)), ["x", None, 2]),
    ],
)
def test_grids_are_drawn_uniformly_with_both_ends(
    distribution: BaseDistribution, values: list[Any], rng: np.random.Generator
) -> None:
    drawn = [draw(distribution, rng) for _ in range(800)]
    expected = 800 / len(values)
    counts = [sum(v == value for v in drawn) for value in values]
    assert sum(counts) == 800
    assert sum((count - expected) ** 2 / expected for count in counts) < 16.3


def test_mutation_changes_one_parameter_or_more(rng: np.random.Generator) -> None:
    space = FlatSpace(
        {
            "two": IntDistribution(0, 1),
            "grid": FloatDistribution(0.0, 0.2, step=0.1),
            "real": FloatDistribution(0.0, 1.0),
            "choice": CategoricalDistribution(("a", "b")),
            "fixed": IntDistribution(3, 3),
        }
    )
    architecture = space.random(rng)
    changes = []
    for _ in range(600):
        mutant = space.mutate(architecture, rng)
        changed = [name for name in mutant.params if mutant[name] != architecture[name]]
        assert 1 <= len(changed) <= 4
        changes += changed
        architecture = mutant
    counts = [changes.count(name) for name in space.distributions]
    assert counts[-1] == 0
    # One is chosen for certain and each other with probability 1/4.
    expected = 600 * (1 - (3 / 4) ** 2)
    assert all(abs(count - expected) < 4 * math.sqrt(expected) for count in counts[:-1])


def test_a_space_of_constants_has_one_point(rng: np.random.Generator) -> None:
    space = FlatSpace({"a": IntDistribution(1, 1), "b": CategoricalDistribution(("x",))})
    only = space.random(rng)
    assert only.params == {"a": 1, "b": "x"}
    assert space.mutate(only, rng) == only
    assert space.neighbors(only) == []
    assert space.size == 1


def test_neighbors_take_one_step() -> None:
    space = FlatSpace(
        {
            "grid": FloatDistribution(0.0, 0.3, step=0.1),
            "int": IntDistribution(0, 10, step=5),
            "real": FloatDistribution(0.0, 1.0),
            "log": FloatDistribution(1e-5, 1e5, log=True),
            "choice": CategoricalDistribution(("a", "b", "c")),
        }
    )
    centre = {"grid": 0.2, "int": 5, "real": 0.95, "log": 1.0, "choice": "b"}
    moves: dict[str, list[Any]] = {name: [] for name in centre}
    for neighbor in space.neighbors(space.architecture(centre)):
        (changed,) = [name for name in centre if neighbor[name] != centre[name]]
        moves[changed].append(neighbor[changed])
    assert moves["grid"] == pytest.approx([0.1, 0.3])
    assert moves["int"] == [0, 10]
    assert moves["real"] == pytest.approx([0.85, 1.0])
    assert moves["log"] == pytest.approx([0.1, 10.0])
    assert moves["choice"] == ["a", "c"]


def test_equal_grid_values_are_identical(rng: np.random.Generator) -> None:
    """However a value is reached, its key is the same: no rounding errors pile up."""
    space = FlatSpace({"x": FloatDistribution(0.0, 1.0, step=0.1)})
    architecture = space.architecture({"x": 0.0})
    keys = set()
    for _ in range(200):
        keys.add(architecture.key)
        neighbors = space.neighbors(architecture)
        architecture = neighbors[rng.integers(len(neighbors))]
    keys |= {space.random(rng).key for _ in range(200)}
    keys |= {space.mutate(architecture, rng).key for _ in range(200)}
    assert len(keys) == 11


@pytest.mark.parametrize(
    ("distributions", "size"),
    [
        ({"a": IntDistribution(0, 9), "b": CategoricalDistribution((1, 2, 3))}, 30),
        ({"a": FloatDistribution(0, 1, step=0.1)}, 11),
        ({"a": IntDistribution(1, 100, log=True)}, 100),
        ({"a": FloatDistribution(2.0, 2.0), "b": IntDistribution(0, 1)}, 2),
        ({"a": FloatDistribution(0, 1), "b": IntDistribution(0, 1)}, None),
    ],
)
def test_size(distributions: dict[str, BaseDistribution], size: int | None) -> None:
    assert FlatSpace(distributions).size == size


def test_a_space_does_not_depend_on_the_order_of_its_parameters() -> None:
    first: dict[str, BaseDistribution] = {
        "a": IntDistribution(0, 1),
        "b": FloatDistribution(0, 1),
    }
    second = dict(reversed(first.items()))
    one, two = FlatSpace(first), FlatSpace(second)
    assert one == two
    assert hash(one) == hash(two)
    assert one.architecture({"a": 1, "b": 0.5}) == two.architecture({"b": 0.5, "a": 1})
    assert one.architecture({"a": 1, "b": 0.5}).key == two.architecture({"b": 0.5, "a": 1}).key


def test_a_step_up_and_down_again_is_the_same_setting(rng: np.random.Generator) -> None:
    """Only rounding errors differ, which would pass for something new."""
    space = FlatSpace({"x": FloatDistribution(-5, 5), "y": FloatDistribution(1e-3, 1e3, log=True)})
    rounded = 0
    for _ in range(100):
        middle = space.architecture({"x": rng.uniform(-2, 2), "y": 10 ** rng.uniform(-1, 1)})
        there_and_back = [b for n in space.neighbors(middle) for b in space.neighbors(n)]
        assert len({a.key for a in there_and_back}) == 9
        rounded += len({str(a) for a in there_and_back}) > 9
    assert rounded > 10
    # Settings that differ in the tenth digit are others.
    one, two = (space.architecture({"x": x, "y": 1.0}) for x in (-1.915549154, -1.915549155))
    assert one.key != two.key


def test_conditional_parameters_may_be_absent(rng: np.random.Generator) -> None:
    space = FlatSpace(
        {
            "kind": CategoricalDistribution(("sgd", "adam")),
            "momentum": FloatDistribution(0, 1),
        }
    )
    part = space.read({"kind": "adam", "elsewhere": 3})
    assert part is not None
    assert part.params == {"kind": "adam"}
    assert "momentum" not in part
    assert space.parse(str(part)) == part
    assert space.mutate(part, rng).params == {"kind": "sgd"}
    assert part.key != space.architecture({"kind": "adam", "momentum": 0.5}).key
    with pytest.raises(ValueError, match="`params` lacks 'momentum'"):
        space.architecture({"kind": "adam"})


@pytest.mark.parametrize(
    "params",
    [{}, {"other": 1}, {"kind": "c"}, {"kind": "a", "number": "1"}, {"number": None}],
)
def test_what_is_not_of_this_space_is_not_read(params: dict[str, Any]) -> None:
    space = FlatSpace(
        {"kind": CategoricalDistribution(("a", "b")), "number": IntDistribution(0, 3)}
    )
    assert space.read(params) is None
    with pytest.raises(ValueError, match=r"`text` is .*; needed is a JSON object with values of"):
        space.parse(json.dumps(params))


def test_numbers_of_an_older_range_are_read(rng: np.random.Generator) -> None:
    space = FlatSpace({"x": FloatDistribution(0, 1), "n": IntDistribution(0, 1)})
    old = space.read({"x": 7.0, "n": -3})
    assert old is not None
    assert old.params == {"x": 7.0, "n": -3}
    assert space.parse(str(old)) == old
    assert space.mutate(old, rng) != old


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "null", '"kind"'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`text` is .*needed is a JSON object"):
        FlatSpace({"kind": CategoricalDistribution(("a", "b"))}).parse(text)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n": 5}, r"`params\['n'\]` is 5; allowed is IntDistribution\(high=3"),
        ({"n": 2.5}, r"`params\['n'\]` is 2.5"),
        ({"n": "two"}, r"`params\['n'\]` is 'two'"),
        ({"n": None}, r"`params\['n'\]` is None"),
        ({}, r"`params` lacks 'n'; FlatSpace needs \['n'\]"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlatSpace({"n": IntDistribution(0, 3)}).architecture(params)


def test_bad_distributions() -> None:
    with pytest.raises(ValueError, match="`distributions` is empty"):
        FlatSpace({})
    wrong: Any = {"x": (0, 1)}
    with pytest.raises(TypeError, match=r"`distributions\['x'\]` is \(0, 1\); allowed are Optuna"):
        FlatSpace(wrong)
