"""The choice of members, against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from optuna_nas.ensembles import (
    best_ensemble,
    exhaustive_selection,
    forward_selection,
    negative_log_likelihood,
    selection,
)


def candidates(seed: int, count: int = 7) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=30)
    scores = 2 * rng.standard_normal((count, 30, 3))
    scores[:, np.arange(30), labels] += rng.random((count, 1))
    odds = np.exp(scores)
    return odds / odds.sum(axis=2, keepdims=True), labels


def loss(
    members: NDArray[np.float64], labels: NDArray[np.int64], chosen: tuple[int, ...]
) -> float:
    return negative_log_likelihood(members[list(chosen)].mean(axis=0), labels)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("seed", range(4))
def test_exhaustive_selection_is_brute_force(seed: int, size: int) -> None:
    members, labels = candidates(seed)
    chosen = exhaustive_selection(members, labels, size)
    expected = min(loss(members, labels, c) for c in combinations(range(7), size))
    assert loss(members, labels, chosen) == pytest.approx(expected)
    assert list(chosen) == sorted(set(chosen)) and len(chosen) == size


@pytest.mark.parametrize("seed", range(4))
def test_forward_selection_adds_the_best_each_time(seed: int) -> None:
    members, labels = candidates(seed)
    chosen = forward_selection(members, labels, 5)
    singles = [loss(members, labels, (i,)) for i in range(7)]
    assert chosen[0] == int(np.argmin(singles))
    for k in range(1, 5):
        extensions = {
            new: loss(members, labels, (*chosen[:k], new))
            for new in range(7)
            if new not in chosen[:k]
        }
        assert extensions[chosen[k]] == pytest.approx(min(extensions.values()))
    assert len(set(chosen)) == 5


def test_all_combinations_are_never_worse_than_forward_selection() -> None:
    differences = []
    for seed in range(30):
        members, labels = candidates(seed)
        for size in (2, 3, 4):
            best = loss(members, labels, exhaustive_selection(members, labels, size))
            forward = loss(members, labels, forward_selection(members, labels, size))
            assert best <= forward + 1e-12
            differences.append(forward - best)
    assert max(differences) > 1e-4  # there are such ensembles


def test_the_number_of_combinations_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(30):
        members, labels = candidates(seed)
        every = exhaustive_selection(members, labels, 3)  # 35 combinations
        forward = tuple(sorted(forward_selection(members, labels, 3)))
        assert best_ensemble(members, labels, 3) == every
        monkeypatch.setattr(selection, "MOST_COMBINATIONS", 35)
        assert best_ensemble(members, labels, 3) == every
        monkeypatch.setattr(selection, "MOST_COMBINATIONS", 34)
        assert best_ensemble(members, labels, 3) == forward
        monkeypatch.undo()
        if forward != every:
            return
    pytest.fail("both ways always agree, and the test cannot tell them apart")


def test_complementary_members_beat_two_good_ones() -> None:
    """Two good ones make the same mistakes; a weaker third one makes others."""
    labels = np.zeros(10, dtype=int)
    good, weaker = np.full(10, 0.9), np.full(10, 0.6)
    good[:2], weaker[:2] = 0.01, 0.95
    members = np.stack([np.stack([p, 1 - p], axis=1) for p in (good, good, weaker)])
    assert set(best_ensemble(members, labels, 2)) in ({0, 2}, {1, 2})


@pytest.mark.parametrize("select", [best_ensemble, exhaustive_selection, forward_selection])
@pytest.mark.parametrize("size", [0, 8])
def test_wrong_sizes(select: object, size: int) -> None:
    members, labels = candidates(0)
    assert callable(select)
    with pytest.raises(ValueError, match=rf"`size` is {size}; allowed is an integer from 1 to 7"):
        select(members, labels, size)


@pytest.mark.parametrize("select", [best_ensemble, exhaustive_selection, forward_selection])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_diverged_is_never_chosen(select: object, value: float) -> None:
    assert callable(select)
    members, labels = candidates(0)
    members[[0, 4], 7, 1] = value  # of one image, whose right class is another
    finite = [1, 2, 3, 5, 6]
    expected = [finite[i] for i in select(members[finite], labels, 3)]
    assert list(select(members, labels, 3)) == expected
    with pytest.raises(ValueError, match="`size` is 6, but only 5 of 7 candidates have finite"):
        select(members, labels, 6)
