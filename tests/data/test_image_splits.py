from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optuna_nas.data.splits import SplitSizes, draw_rows, stratified_parts


def _labels(*counts: int) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(1).permutation(labels)


@pytest.mark.parametrize(
    ("counts", "sizes", "expected"),
    [
        ((50, 30, 20), [10, 20], [[5, 3, 2], [10, 6, 4]]),
        ((3, 3, 1), [3], [[1, 1, 1]]),  # shares 9/7, 9/7, 3/7: the largest remainder is the last
        ((4, 4, 4), [4], [[2, 1, 1]]),  # ties go to the first class
        ((1, 99), [50, 50], [[1, 49], [0, 50]]),
        ((2, 2), [4], [[2, 2]]),
    ],
)
def test_parts_share_out_the_classes(
    counts: tuple[int, ...], sizes: list[int], expected: list[list[int]]
) -> None:
    labels = _labels(*counts)
    parts = stratified_parts(labels, sizes, np.random.default_rng(0))
    assert [
        np.bincount(labels[rows], minlength=len(counts)).tolist() for rows in parts
    ] == expected


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_disjoint_exact_and_nearly_proportional(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 60, size=int(rng.integers(2, 12)))
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    first = int(rng.integers(1, len(labels)))
    parts = stratified_parts(labels, [first, len(labels) - first], rng)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    assert len(parts[0]) == first
    shares = np.bincount(labels[parts[0]], minlength=len(counts))
    assert np.all(np.abs(shares - first * counts / counts.sum()) < 1)


def test_parts_mix_the_classes() -> None:
    labels = np.repeat([0, 1], 500)
    (rows,) = stratified_parts(labels, [1000], np.random.default_rng(0))
    assert 30 < labels[rows[:100]].sum() < 70
    assert not np.array_equal(rows, np.sort(rows))


def test_rows_depend_on_the_seed_alone() -> None:
    labels = _labels(40, 60)
    sizes = SplitSizes(train=50, validation=20, test=10)
    same = zip(draw_rows(labels, None, sizes, 3), draw_rows(labels, None, sizes, 3), strict=True)
    assert all(np.array_equal(one, other) for one, other in same)
    other = draw_rows(labels, None, sizes, 4)
    assert not np.array_equal(draw_rows(labels, None, sizes, 3).validation, other.validation)


@pytest.mark.parametrize("test_labels", [None, _labels(10, 10)])
def test_test_and_validation_rows_stay_when_the_training_size_changes(
    test_labels: np.ndarray | None,
) -> None:
    labels = _labels(40, 60)
    small = draw_rows(labels, test_labels, SplitSizes(train=10, validation=20, test=10), 0)
    large = draw_rows(labels, test_labels, SplitSizes(train=70, validation=20, test=10), 0)
    assert np.array_equal(small.test, large.test)
    assert np.array_equal(small.validation, large.validation)
    assert set(small.train) < set(large.train)


def test_rows_without_a_test_split_are_disjoint_and_complete() -> None:
    labels = _labels(40, 60)
    rows = draw_rows(labels, None, SplitSizes(), 0)
    assert [len(rows.train), len(rows.validation), len(rows.test)] == [64, 16, 20]
    assert sorted(np.concatenate(rows)) == list(range(100))


def test_rows_of_a_test_split_are_all_or_a_stratified_choice() -> None:
    train, test = _labels(40, 60), _labels(30, 10)
    assert draw_rows(train, test, SplitSizes(), 0).test.tolist() == list(range(40))
    rows = draw_rows(train, test, SplitSizes(test=8), 0)
    assert np.bincount(test[rows.test]).tolist() == [6, 2]
    assert len(rows.train) + len(rows.validation) == 100


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (SplitSizes(), (40_000, 10_000)),
        (SplitSizes(train=4_000), (4_000, 1_000)),
        (SplitSizes(train=4_000, validation_fraction=0.5), (4_000, 4_000)),
        (SplitSizes(validation=5_000), (45_000, 5_000)),
        (SplitSizes(train=45_000, validation=5_000), (45_000, 5_000)),
        (SplitSizes(validation_fraction=1e-9), (49_999, 1)),
    ],
)
def test_sizes(sizes: SplitSizes, expected: tuple[int, int]) -> None:
    assert sizes.train_and_validation(50_000) == expected


@pytest.mark.parametrize(
    ("sizes", "numbers"),
    [
        (SplitSizes(train=90), "100 examples .* 90 to train and 22 to validate"),
        (SplitSizes(train=60, validation=41), "100 examples .* 60 to train and 41 to validate"),
        (SplitSizes(validation=100), "100 examples .* 1 to train and 100 to validate"),
    ],
)
def test_too_large_sizes_are_refused_with_the_numbers(sizes: SplitSizes, numbers: str) -> None:
    with pytest.raises(ValueError, match=numbers):
        draw_rows(_labels(50, 50), _labels(5, 5), sizes, 0)


def test_too_large_test_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="`test_size`=11, but there are 10 examples"):
        draw_rows(_labels(50, 50), _labels(5, 5), SplitSizes(test=11), 0)
    with pytest.raises(ValueError, match="has 0 examples to train and validate on"):
        draw_rows(_labels(5, 5), None, SplitSizes(test=10), 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": 0}, ValueError, "`train_size` must be at least 1, got 0"),
        ({"validation": -5}, ValueError, "`validation_size` must be at least 1"),
        ({"test": 2.5}, TypeError, "`test_size` must be an integer, got 2.5"),
        ({"test": True}, TypeError, "`test_size` must be an integer, got True"),
        (
            {"validation_fraction": 0.0},
            ValueError,
            "`validation_fraction` must be between 0 and 1",
        ),
        ({"validation_fraction": float("nan")}, ValueError, "validation_fraction"),
        ({"test_fraction": 1.0}, ValueError, "`test_fraction` must be between 0 and 1, got 1.0"),
    ],
)
def test_wrong_sizes_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SplitSizes(**arguments)
