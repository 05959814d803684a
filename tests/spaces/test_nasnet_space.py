"""NASNet's space: published cells, sizes, notation, and what its keys fold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from optuna_nas.spaces import (
    AMOEBANET_A,
    NASNET_A,
    NASNET_OPERATIONS,
    Architecture,
    Genotype,
    NASNetSpace,
)

SPACE = NASNetSpace()
NASNET, AMOEBANET = SPACE.parse(NASNET_A), SPACE.parse(AMOEBANET_A)
SMALL = NASNetSpace(("skip_connect", "conv", "avg_pool_3x3"), 2)


def small(*normal: tuple[str, int], joined: tuple[int, ...] = ()) -> Architecture:
    """Two blocks in the normal cell; the reduction cell is always the same."""
    reduce = (("conv", 0), ("conv", 1), ("conv", 0), ("conv", 2))
    read = {source for _, source in normal}
    outputs = tuple(node for node in (2, 3) if node not in read)
    return SMALL.from_genotype(Genotype(normal, outputs, reduce, (3,)), (joined, ()))


def test_sizes() -> None:
    assert len(NASNET_OPERATIONS) == len(set(NASNET_OPERATIONS)) == 13
    inputs = (2 * 3 * 4 * 5 * 6) ** 2
    assert SPACE.size == (inputs * 13**10 * 2**5) ** 2
    assert NASNetSpace(combinations=("add",)).size == (inputs * 13**10) ** 2
    assert len(SPACE.distributions) == 2 * (2 * 2 * 5 + 5)  # the 50 decisions of the paper


def test_published_cells_are_in_the_space() -> None:
    assert str(NASNET) == NASNET_A and str(AMOEBANET) == AMOEBANET_A
    assert SPACE.unread(NASNET, "normal") == (2, 3, 4, 5, 6)
    assert SPACE.unread(AMOEBANET, "reduce") == (3, 4, 6)
    assert SPACE.concatenating(NASNET, "normal") == ()
    named = f"NASNet = {NASNET_A}".replace("[2, 3, 4, 5, 6]", "range(2, 7)")
    assert SPACE.parse(named) == NASNET
    # Two averages of one hidden state are two vertices, and twice one function.
    twice = [d for d in NASNET.graph.nodes.values() if d.get("operation") == "avg_pool_3x3"]
    assert len(twice) == 3 + 2


def test_concatenating_blocks_are_written() -> None:
    joined = SPACE.from_genotype(SPACE.genotype(NASNET), ([2, 5], [3]))
    assert str(joined) == f"{NASNET_A} concatenating [[2, 5], [3]]"
    assert SPACE.parse(str(joined)) == joined != NASNET
    assert joined.key != NASNET.key
    assert SPACE.concatenating(joined, "normal") == (2, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            NASNET_A.replace("'sep_conv_5x5', 1", "'sep_conv_5x5', 2", 1),
            r"node_2/input_0'\]` is 2",
        ),
        (NASNET_A.replace("sep_conv_5x5", "sep_conv_9x9", 1), "'sep_conv_9x9'; allowed is"),
        (NASNET_A.replace("=[4, 5, 6]", "=[4, 5]"), r"`genotype.reduce_concat` is \(4, 5\)"),
        (NASNET_A.replace("('sep_conv_3x3', 0), ", "", 1), "`genotype.normal` has 9 pairs"),
        (NASNET_A.replace("('sep_conv_5x5', 1)", "'sep_conv_5x5'", 1), "has the pair 'sep_conv"),
        (f"{NASNET_A} concatenating [[9], []]", r"nodes \[9\] concatenate"),
        (f"{NASNET_A} concatenating [1, 2]", "`text` is"),
        ("Genotype()", "`text` is"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.parse(text)
    with pytest.raises(ValueError, match=r"allowed are \['add'\]"):
        NASNetSpace(combinations=("add",)).parse(f"{NASNET_A} concatenating [[2], []]")


def test_keys_fold_what_is_the_same_function() -> None:
    one = small(("conv", 0), ("skip_connect", 1), ("conv", 2), ("avg_pool_3x3", 1))
    swapped = small(("skip_connect", 1), ("conv", 0), ("avg_pool_3x3", 1), ("conv", 2))
    assert one.key == swapped.key
    # Skips pass a hidden state on; the average of a sum is the sum of the averages.
    passed = small(("conv", 0), ("avg_pool_3x3", 1), ("skip_connect", 2), ("skip_connect", 1))
    again = small(("avg_pool_3x3", 1), ("conv", 0), ("skip_connect", 1), ("skip_connect", 2))
    assert passed.key == again.key
    # A concatenation has weights of its own behind it, and no order.
    joined = small(("conv", 0), ("skip_connect", 1), ("conv", 2), ("conv", 1), joined=(2,))
    turned = small(("skip_connect", 1), ("conv", 0), ("conv", 1), ("conv", 2), joined=(2,))
    added = small(("skip_connect", 1), ("conv", 0), ("conv", 1), ("conv", 2))
    assert joined.key == turned.key != added.key
    assert len({one.key, passed.key, joined.key}) == 3


def test_mutation_is_that_of_amoebanet(rng: np.random.Generator) -> None:
    """A cell, a block, one of its two elements, then the operation or the input, uniformly."""
    space = NASNetSpace(combinations=("add",))
    parent = space.parse(AMOEBANET_A)
    changed: Counter[str] = Counter()
    for _ in range(8000):
        mutant = space.mutate(parent, rng)
        [name] = (n for n in parent.params if mutant[n] != parent[n])
        changed[name] += 1
    assert changed.keys() == space.distributions.keys()
    assert all(abs(n - 200) < 5 * 200**0.5 for n in changed.values())


def test_paths_stand_for_both_cells() -> None:
    ends = Counter(path.block for path in SPACE.paths(AMOEBANET))
    assert ends.keys() == set(SPACE.path_blocks)
    assert ("normal/input_0", ("sep_conv_3x3",)) in {
        (path.block, path.operations) for path in SPACE.paths(AMOEBANET)
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "`blocks` is 0; allowed is an integer from 1 to 20"),
        ({"blocks": 21}, "`blocks` is 21"),
        ({"operations": ["conv"]}, "`operations` is"),
        ({"combinations": ()}, r"`combinations` is \(\); allowed are one or both"),
        ({"combinations": ("add", "add")}, "`combinations` is"),
        ({"combinations": ("mean",)}, "`combinations` is"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NASNetSpace(**options)
