"""Random architectures that share a given number of edges."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from optuna_nas.objectives.edge_nes.deviation import random_deviation
from optuna_nas.relaxations import common_edges
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


def test_every_such_architecture_is_equally_likely() -> None:
    """Of two nodes one is kept: 5 + 8 others, all about as often."""
    space = EdgeNESSpace(("skip_connect", "sep_conv_3x3", "max_pool_3x3"), 2)
    rng = np.random.default_rng(1)
    optimum = space.random(rng)
    found = Counter(str(random_deviation(optimum, 1, rng)) for _ in range(650))
    assert len(found) == (2 * 3 - 1) + (3 * 3 - 1)
    assert min(found.values()) > 22 and max(found.values()) < 85


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
