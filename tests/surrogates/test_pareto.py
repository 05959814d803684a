"""Domination, crowding and hypervolume, on fronts made by hand and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from optuna_nas.surrogates.pareto import (
    Improvement,
    crowding_distances,
    domination_ranks,
    front_of,
    reference_point,
)

STAIRS = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
CORNER = np.array([4.0, 4.0])


def test_ranks_by_hand() -> None:
    values = np.array([[1, 3], [2, 2], [2, 3], [3, 3], [3, 1], [2, 2], [4, 4]], dtype=float)
    # Equal vectors do not dominate each other.
    assert domination_ranks(values).tolist() == [0, 0, 1, 2, 0, 0, 3]
    assert domination_ranks(values[:, :1]).tolist() == [0, 1, 1, 2, 2, 1, 3]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_ranks_are_those_of_peeling(k: int, rng: np.random.Generator) -> None:
    values = rng.integers(5, size=(60, k)).astype(float)
    ranks = domination_ranks(values)
    left = np.arange(60)
    for rank in range(ranks.max() + 1):
        alone = [
            i
            for i in left
            if not any(
                (values[j] <= values[i]).all() and (values[j] < values[i]).any() for j in left
            )
        ]
        assert alone == np.flatnonzero(ranks == rank).tolist()
        left = np.setdiff1d(left, alone)
    assert not len(left)


def test_crowding_by_hand() -> None:
    values = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 5.0], [10.0, 0.0]])
    distances = crowding_distances(values[[2, 0, 3, 1]])
    assert distances[[1, 2]].tolist() == [np.inf, np.inf]
    assert distances[3] == pytest.approx((4 - 0) / 10 + (10 - 5) / 10)
    assert distances[0] == pytest.approx((10 - 1) / 10 + (6 - 0) / 10)
    assert crowding_distances(np.ones((3, 2))).tolist() == [0, 0, 0]


def test_the_front_has_each_vector_once() -> None:
    values = np.array([[2, 2], [1, 3], [2, 2], [3, 3], [2, 3]], dtype=float)
    assert front_of(values).tolist() == [[1, 3], [2, 2]]


def test_the_reference_point_leaves_room_for_the_ends_of_the_front() -> None:
    values = np.array([[0, 20], [10, 10], [900, 920]], dtype=float)
    assert reference_point(values).tolist() == [900 + 90, 920 + 91]
    assert reference_point(np.ones((3, 2))) == pytest.approx([1.1, 1.1])


@pytest.mark.parametrize(
    ("vector", "volume"),
    [
        ((0.0, 0.0), 16 - 6),  # all of the corner but the six squares of the stairs
        ((1.0, 1.0), 9 - 6),
        ((1.5, 2.5), 0.25),
        ((0.5, 3.5), 0.5 * 0.5),  # below the step at the end, left of it
        ((2.0, 2.0), 0),
        ((2.5, 2.5), 0),
        ((5.0, -7.0), 0),  # beyond the reference point in one objective
        ((3.5, -6.0), 0.5 * 7),
        ((-6.0, -6.0), 100 - 6),
    ],
)
def test_improvement_by_hand(vector: tuple[float, float], volume: float) -> None:
    found = Improvement(STAIRS, CORNER).volume(np.array([vector, vector]))
    assert found == pytest.approx([volume, volume])


def test_improvement_in_three_dimensions_by_hand() -> None:
    improvement = Improvement(np.array([[1.0, 1.0, 1.0]]), np.array([2.0, 2.0, 2.0]))
    assert improvement.volume(np.array([[0.0, 0.0, 0.0]])) == pytest.approx([8 - 1])
    assert improvement.volume(np.array([[0.0, 1.0, 1.0]])) == pytest.approx([1])
    assert improvement.volume(np.array([[0.0, 1.5, 1.0]])) == pytest.approx([0.5])
    assert improvement.volume(np.array([[1.0, 1.0, 1.5]])) == pytest.approx([0])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_improvement_is_the_difference_of_hypervolumes(k: int, rng: np.random.Generator) -> None:
    known, reference = rng.random((25, k)), np.full(k, 0.9)
    vectors = rng.random((60, k)) * 1.1 - 0.1
    found = Improvement(known, reference).volume(vectors)
    for vector, volume in zip(vectors, found, strict=True):
        before, after = (
            compute_hypervolume(rows[(rows <= reference).all(axis=1)], reference)
            for rows in (known, np.vstack([known, vector]))
        )
        assert volume == pytest.approx(after - before, abs=1e-12)
    assert (found > 0).any()
    assert (found == 0).any()


def test_nothing_within_the_reference_point() -> None:
    improvement = Improvement(np.array([[5.0, 0.0]]), np.array([2.0, 2.0]))
    assert improvement.volume(np.array([[1.0, 0.0], [3.0, 0.0]])) == pytest.approx([2, 0])


def test_shortfall_is_the_step_to_the_front(rng: np.random.Generator) -> None:
    improvement = Improvement(STAIRS, CORNER)
    vectors = np.array([[2.0, 2.5], [3.0, 3.0], [4.0, 4.0], [1.5, 2.5], [0.0, 9.0]])
    assert improvement.shortfall(vectors).tolist() == [0, 1, 2, 0, 0]
    for vector in rng.random((30, 2)) * 4:
        step = improvement.shortfall(vector[None])[0]
        closer = vector - step - 1e-9
        assert not any(np.all(closer >= known) for known in STAIRS)
        if step > 0:
            assert any(np.all(closer + 2e-9 >= known) for known in STAIRS)
