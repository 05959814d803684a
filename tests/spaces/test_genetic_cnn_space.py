"""Genetic CNN's space: its bits, and the nodes they connect."""

from __future__ import annotations

from collections import Counter
from itertools import product

import networkx as nx
import numpy as np
import pytest

from optuna_nas.spaces import GeneticCNNSpace

SPACE = GeneticCNNSpace((3, 5))


@pytest.mark.parametrize(
    ("nodes", "bits", "size"), [((3, 5), 13, 8_192), ((3, 4, 5), 19, 524_288)]
)
def test_published_sizes(nodes: tuple[int, ...], bits: int, size: int) -> None:
    space = GeneticCNNSpace(nodes)
    assert len(space.distributions) == bits
    assert space.size == size


def test_notation() -> None:
    architecture = SPACE.parse(" 1-01|0-01-100-0000\n")
    assert str(architecture) == "1-01|0-01-100-0000"
    assert [n for n, bit in architecture.params.items() if bit] == [
        "stage_1/edge_1_2",
        "stage_1/edge_2_3",
        "stage_2/edge_2_3",
        "stage_2/edge_1_4",
    ]
    for wrong in ("1-01", "1-01|0-01-100-000", "1-01|0-01-100-0002", "101|0011000000"):
        with pytest.raises(ValueError, match=r"`text` is .* such as 0-00\|0-00-000-0000"):
            SPACE.parse(wrong)


def test_the_first_and_the_last_convolution() -> None:
    architecture = SPACE.parse("1-00|0-01-100-0000")
    assert SPACE.edges(architecture, 0) == [(0, 1), (1, 2), (2, 4)]  # node 3 is left out
    assert SPACE.edges(architecture, 1) == [(0, 1), (0, 2), (2, 3), (1, 4), (3, 6), (4, 6)]
    nothing = SPACE.parse("0-00|0-00-000-0000")
    assert SPACE.edges(nothing, 0) == []
    assert sum("operation" in d for d in nothing.graph.nodes.values()) == 2


def test_keys_are_classes_of_isomorphic_stages() -> None:
    """By a second opinion: networkx's own isomorphism of all 64 stages of four nodes."""
    space = GeneticCNNSpace((4,))
    architectures = [
        space.architecture(dict(zip(space.distributions, bits, strict=True)))
        for bits in product((False, True), repeat=6)
    ]
    assert len(architectures) == space.size == 64

    def same(first: int, second: int) -> bool:
        ours, theirs = (nx.DiGraph(space.edges(architectures[i], 0)) for i in (first, second))
        return bool(nx.is_isomorphic(ours, theirs))

    keys = [a.key for a in architectures]
    for first, second in product(range(64), repeat=2):
        assert (keys[first] == keys[second]) == same(first, second)
    assert 1 < len(set(keys)) < 64


def test_mutation_flips_each_bit_alike(rng: np.random.Generator) -> None:
    """With the published 5 per cent, given that a bit flips at all."""
    parent = SPACE.parse("1-01|0-01-100-0000")
    flips: Counter[str] = Counter()
    draws = 2000
    for _ in range(draws):
        mutant = SPACE.mutate(parent, rng)
        changed = [n for n in parent.params if mutant[n] != parent[n]]
        assert changed
        flips.update(changed)
    expected = draws * 0.05 / (1 - 0.95**13)
    assert all(abs(flips[n] - expected) < 5 * expected**0.5 for n in SPACE.distributions)


def test_crossover_swaps_whole_stages(rng: np.random.Generator) -> None:
    ours, theirs = SPACE.parse("0-00|0-00-000-0000"), SPACE.parse("1-11|1-11-111-1111")
    children = {str(SPACE.crossover(ours, theirs, rng)) for _ in range(60)}
    assert children == {
        str(ours),
        str(theirs),
        "1-11|0-00-000-0000",
        "0-00|1-11-111-1111",
    }


@pytest.mark.parametrize("nodes", [(), (0,), (13,), (3,) * 9, (True,)])
def test_wrong_arguments(nodes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="allowed is an integer"):
        GeneticCNNSpace(nodes)
