"""Choices of any type, and numbers of any size."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.spaces import FlatSpace
from optuna_nas.spaces.choices import distinct_choices, is_plain, place_of
from optuna_nas.spaces.values import adjacent, can_change, draw, from_unit, perturb, unit
from optuna_nas.surrogates import AdjacencyEncoding, OneHotEncoding

MOST = sys.float_info.max
NAN = float("nan")


class Thing:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Thing({self.name})"


# Choices, and how many of them a storage tells apart.
ODD: list[tuple[list[Any], int]] = [
    ([[8], [8, 8], [16, 4, 2]], 3),
    ([(8,), (8, 8)], 2),
    ([{"a": 1}, {"a": 1, "b": 2}, {1: 2, "x": 3}], 3),
    ([NAN, 1.0, 2.0], 3),
    ([1, True], 1),
    ([0, False, 1.0, 1, None], 3),
    (["a", "a"], 1),
    ([Thing("a"), Thing("b")], 2),
    ([[NAN], [1.0]], 2),
]


@pytest.mark.parametrize(("choices", "count"), ODD)
@pytest.mark.filterwarnings("ignore:Choices for a categorical")
def test_choices_are_told_apart_by_their_places(
    choices: list[Any], count: int, rng: np.random.Generator
) -> None:
    distribution = CategoricalDistribution(choices)
    space = FlatSpace({"c": distribution, "x": IntDistribution(0, 1)})
    assert not is_plain(distribution) and len(distinct_choices(distribution)) == count
    assert can_change(distribution) == (count > 1)
    cells = [space.random(rng) for _ in range(60)]
    assert len({cell.key for cell in cells}) == len(set(cells)) == 2 * count
    for cell in cells[:10]:
        again = space.parse(str(cell))
        assert again == cell and again.key == cell.key and hash(again) == hash(cell)
        assert place_of(again["c"], distribution) == place_of(cell["c"], distribution)
        assert space.mutate(cell, rng).key != cell.key
        neighbors = space.neighbors(cell)
        assert len({n.key for n in neighbors}) == len(neighbors) == count
        assert cell.key not in {n.key for n in neighbors}
    for encoding in (OneHotEncoding(), AdjacencyEncoding()):
        rows = encoding.encode(space, cells)
        assert np.isfinite(rows).all()
        assert len(np.unique(rows, axis=0)) == 2 * count


@pytest.mark.filterwarnings("ignore:Choices for a categorical")
def test_what_a_storage_makes_of_tuples_is_the_same_space() -> None:
    given: list[list[Any]] = [[(8,), (8, 8)], [[8], [8, 8]], [[8], [8, 9]]]
    tuples, lists, others = (FlatSpace({"c": CategoricalDistribution(c)}) for c in given)
    assert tuples == lists == FlatSpace.from_dict(tuples.to_dict())
    assert tuples != others
    assert tuples.architecture({"c": [8, 8]})["c"] == (8, 8)
    with pytest.raises(ValueError, match="allowed is"):
        tuples.architecture({"c": [8, 9]})


WIDE: list[BaseDistribution] = [
    IntDistribution(0, 2**63 - 1),
    IntDistribution(-(2**63), 2**63 - 1),
    IntDistribution(0, 2**100),
    IntDistribution(0, 900 * (2**53 + 1), step=2**53 + 1),
    IntDistribution(1, 2**63 - 1, log=True),
    IntDistribution(2**62, 2**62 + 4096),
    FloatDistribution(-1e308, 1e308),
    FloatDistribution(-MOST, MOST),
    FloatDistribution(0, MOST),
    FloatDistribution(5e-324, MOST, log=True),
    FloatDistribution(1.0, math.nextafter(1.0, 2)),
]


@pytest.mark.parametrize("distribution", WIDE, ids=str)
def test_ranges_as_wide_as_numbers_go(
    distribution: FloatDistribution | IntDistribution, rng: np.random.Generator
) -> None:
    low, high = distribution.low, distribution.high
    values = [draw(distribution, rng) for _ in range(200)]
    assert all(low <= value <= high for value in values)
    positions = [unit(value, distribution) for value in values]
    assert all(0 <= position <= 1 for position in positions)
    if high / 2 - low / 2 > 1:
        assert min(positions) < 0.1 and max(positions) > 0.9
        assert 0.35 < np.mean(positions) < 0.65
    assert from_unit(0.0, distribution) == pytest.approx(low)
    assert from_unit(1.0, distribution) == pytest.approx(high)
    for value in values[:20]:
        moved = perturb(value, distribution, rng)
        assert low <= moved <= high and float(moved) != float(value)
        near = adjacent(value, distribution)
        assert 1 <= len(near) <= 2
        assert all(low <= v <= high and float(v) != float(value) for v in near)
    space = FlatSpace({"x": distribution})
    assert space.size is None or space.size > 1
    cell = space.architecture({"x": values[0]})
    assert space.parse(str(cell)).key == cell.key
    # A storage keeps it in double precision.
    stored = space.read({"x": distribution.to_external_repr(float(values[0]))})
    assert stored is not None and stored.key == cell.key


def test_integers_are_computed_exactly(rng: np.random.Generator) -> None:
    odd = IntDistribution(1, 2**60 + 1, step=2)
    assert all(draw(odd, rng) % 2 == 1 for _ in range(50))
    small = FlatSpace({"n": IntDistribution(0, 3), "m": IntDistribution(7, 7)})
    assert small.size == 4


@pytest.mark.parametrize("high", [2, 4, 8, 16, 1000])
def test_the_next_integers_are_neighbours_on_a_log_scale_too(high: int) -> None:
    distribution = IntDistribution(1, high, log=True)
    for value in range(1, high + 1):
        near = adjacent(value, distribution)
        assert near == sorted(near) and value not in near
        assert any(v < value for v in near) == (value > 1)
        assert any(v > value for v in near) == (value < high)
    assert adjacent(2, IntDistribution(1, 8, log=True)) == [1, 3]
    # Where a tenth of the range is more than a step, that is it.
    assert adjacent(100, IntDistribution(1, 1000, log=True)) == [50, 200]


def test_numbers_outside_of_the_range_move_into_it() -> None:
    assert adjacent(99, IntDistribution(0, 9)) == [9] or set(
        adjacent(99, IntDistribution(0, 9))
    ) <= {0, 9}
    assert FlatSpace({"x": FloatDistribution(0, 1)}).read({"x": NAN}) is None
