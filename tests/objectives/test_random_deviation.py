"""Random architectures that share a given number of edges."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from optuna_nas.methods import common_edges
from optuna_nas.objectives.edge_nes.deviation import random_deviation
from optuna_nas.spaces import CellSpace, DARTSSpace, EdgeNESSpace, NASBench201Space, SearchSpace


@pytest.mark.parametrize(
    ("space", "shared"),
    [
        *((EdgeNESSpace(), count) for count in range(5)),
        (DARTSSpace(), 0),
        (DARTSSpace(), 9),
        (NASBench201Space(), 2),
        (NASBench201Space(), 6),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_exactly_so_many_edges_are_shared(space: SearchSpace, shared: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2):
        optimum = space.random(rng)
        assert common_edges(optimum, random_deviation(optimum, shared, rng)) == shared


def test_kept_edges_and_their_replacements_are_uniform() -> None:
    """Of two nodes one is kept, the first with 5 and the second with 8 alternatives.

    So each of the 5 architectures that keep the second node has a probability of 1/10, and each of
    the 8 that keep the first one 1/16. A uniform choice of all 13 is another distribution.
    """
    space = EdgeNESSpace(("skip_connect", "sep_conv_3x3", "max_pool_3x3"), 2)
    rng = np.random.default_rng(1)
    optimum = space.random(rng)
    first, second = space.genes(optimum)
    drawn = 700
    found = Counter(space.genes(random_deviation(optimum, 1, rng)) for _ in range(drawn))
    expected = {
        genes: drawn / 2 / (8 if genes[0] == first else 5)
        for genes in found
        if (genes[0] == first) != (genes[1] == second)
    }
    assert len(expected) == len(found) == 13
    counts = list(found.values())
    assert chisquare(counts, [expected[genes] for genes in found]).pvalue > 0.01
    assert chisquare(counts).pvalue < 0.01


def test_impossible_numbers() -> None:
    rng = np.random.default_rng(0)
    optimum = EdgeNESSpace().random(rng)
    with pytest.raises(ValueError, match="`shared` is 5; allowed is an integer from 0 to 4"):
        random_deviation(optimum, 5, rng)
    with pytest.raises(ValueError, match="`shared` is -1; allowed is an integer from 0 to 4"):
        random_deviation(optimum, -1, rng)


def test_numbers_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space in which a mutation always changes the last edge only."""
    space = CellSpace(3, ("skip_connect", "nor_conv_3x3"))
    optimum = space.random(np.random.default_rng(0))
    flipped = space.architecture({**optimum.params, "edge_1_2": "nor_conv_3x3"})
    if flipped == optimum:
        flipped = space.architecture({**optimum.params, "edge_1_2": "skip_connect"})
    monkeypatch.setattr(CellSpace, "mutate", lambda *_: flipped)
    with pytest.raises(ValueError, match="`shared` is 0; no mutant"):
        random_deviation(optimum, 0, np.random.default_rng(0))
