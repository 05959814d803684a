"""The DARTS space: published sizes and genotypes, mutation, and the key of both cells."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import DARTS_OPERATIONS, Architecture, DARTSSpace, Genotype

SPACE = DARTSSpace()
WITHOUT_NONE = DARTSSpace(DARTS_OPERATIONS[1:])
CELLS = ("normal", "reduce")
Classes = Callable[[Iterable["nx.DiGraph[int]"]], list[int]]
FunctionGraph = Callable[..., "nx.DiGraph[int]"]

# The genotypes of the paper's own repository.
V1_NORMAL = (
    *(("sep_conv_3x3", 1), ("sep_conv_3x3", 0)),
    *(("skip_connect", 0), ("sep_conv_3x3", 1)),
    *(("skip_connect", 0), ("sep_conv_3x3", 1)),
    *(("sep_conv_3x3", 0), ("skip_connect", 2)),
)
V1_REDUCE = (
    *(("max_pool_3x3", 0), ("max_pool_3x3", 1)),
    *(("skip_connect", 2), ("max_pool_3x3", 0)),
    *(("max_pool_3x3", 0), ("skip_connect", 2)),
    *(("skip_connect", 2), ("avg_pool_3x3", 0)),
)
V2_NORMAL = (
    *(("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
    *(("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
    *(("sep_conv_3x3", 1), ("skip_connect", 0)),
    *(("skip_connect", 0), ("dil_conv_3x3", 2)),
)
V2_REDUCE = (
    *(("max_pool_3x3", 0), ("max_pool_3x3", 1)),
    *(("skip_connect", 2), ("max_pool_3x3", 1)),
    *(("max_pool_3x3", 0), ("skip_connect", 2)),
    *(("skip_connect", 2), ("max_pool_3x3", 1)),
)
PLAIN = (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)) * 4


def architecture_of(
    normal: Sequence[tuple[str, int]] = PLAIN,
    reduce: Sequence[tuple[str, int]] = PLAIN,
    space: DARTSSpace = SPACE,
) -> Architecture:
    concat = (2, 3, 4, 5)
    return space.from_genotype(Genotype(tuple(normal), concat, tuple(reduce), concat))


def text_of(normal: object, reduce: object, concat: str = "[2, 3, 4, 5]") -> str:
    return (
        f"Genotype(normal={normal}, normal_concat={concat}, reduce={reduce}, "
        f"reduce_concat={concat})"
    )


def by_node(genes: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    return [sorted(genes[start : start + 2]) for start in range(0, 8, 2)]


def test_number_of_cells() -> None:
    one_cell = math.prod(math.comb(node, 2) * 7**2 for node in (2, 3, 4, 5))
    assert one_cell == 1_037_664_180
    assert WITHOUT_NONE.size == one_cell**2
    assert SPACE.size == (180 * 8**8) ** 2


@pytest.mark.parametrize(("space", "bits"), [(SPACE, 18_724), (WITHOUT_NONE, 11_204)])
def test_path_bits(space: DARTSSpace, bits: int) -> None:
    assert list(space.path_blocks) == [f"{cell}/input_{i}" for cell in CELLS for i in (0, 1)]
    assert sum(block.size for block in space.path_blocks.values()) == bits


def test_parameters() -> None:
    names = list(SPACE.distributions)
    assert names[:3] == ["normal/node_2/op_0", "normal/node_2/op_1", "normal/node_3/inputs"]
    assert len(names) == 2 * (4 * 2 + 3)
    choices = {}
    for name, distribution in SPACE.distributions.items():
        assert isinstance(distribution, CategoricalDistribution)
        choices[name] = distribution.choices
    assert choices["reduce/node_3/inputs"] == ("0,1", "0,2", "1,2")
    assert len(choices["reduce/node_5/inputs"]) == 10
    assert choices["normal/node_4/op_1"] == DARTS_OPERATIONS


@pytest.mark.parametrize(
    ("normal", "reduce"), [(V1_NORMAL, V1_REDUCE), (V2_NORMAL, V2_REDUCE)], ids=["V1", "V2"]
)
@pytest.mark.parametrize("template", ["{}", "DARTS = {}", "\nDARTS_V1 = {}\n"])
@pytest.mark.parametrize("concat", ["[2, 3, 4, 5]", "range(2, 6)", "(2, 3, 4, 5)"])
def test_published_genotypes(
    normal: Sequence[tuple[str, int]],
    reduce: Sequence[tuple[str, int]],
    template: str,
    concat: str,
) -> None:
    text = template.format(text_of(list(normal), list(reduce), concat))
    architecture = SPACE.parse(text.replace("), (", "),\n    ("))
    genotype = SPACE.genotype(architecture)
    assert by_node(genotype.normal) == by_node(normal)
    assert by_node(genotype.reduce) == by_node(reduce)
    assert genotype.normal_concat == genotype.reduce_concat == (2, 3, 4, 5)
    assert SPACE.from_genotype(genotype) == architecture
    assert str(architecture) == text_of(list(genotype.normal), list(genotype.reduce))
    assert architecture == architecture_of(normal, reduce)


def test_round_trip(rng: np.random.Generator) -> None:
    for _ in range(100):
        architecture = SPACE.random(rng)
        assert SPACE.parse(str(architecture)) == architecture
        assert SPACE.from_genotype(SPACE.genotype(architecture)) == architecture


GENES = list(PLAIN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Genotype()",
        "Genotype(normal=1, normal_concat=1, reduce=1, reduce_concat=1)",
        text_of(GENES[:6], GENES),
        text_of(GENES, GENES, "[3, 4, 5]"),
        text_of(GENES, GENES, "range(2, 7)"),
        text_of(GENES, GENES, "range(2, 10**12)"),
        text_of(GENES, GENES, "range(2, 1000000000000)"),
        text_of(GENES, GENES, "range()"),
        text_of(GENES, list(range(8))),
        text_of(GENES, [("sep_conv_3x3", "0"), *GENES[1:]]),
        text_of(GENES, [("sep_conv_3x3", 0, 1), *GENES[1:]]),
        text_of(GENES, [("sep_conv_3x3",), *GENES[1:]]),
        text_of(GENES, [("sep_conv_3x3", 2), *GENES[1:]]),
        text_of(GENES, [("sep_conv_3x3", -1), *GENES[1:]]),
        text_of(GENES, [("sep_conv_3x3", 0.0), *GENES[1:]]),
        text_of(GENES, [("sep_conv_3x3", 1), *GENES[1:]]),
        text_of(GENES, [("conv_7x7", 0), *GENES[1:]]),
        text_of("__import__('os').getcwd()", GENES),
        text_of("[print(1)]", GENES),
        text_of(GENES, GENES)[:-1],
        text_of(GENES, GENES) + "; x",
        text_of(GENES, GENES) + text_of(GENES, GENES),
        text_of(GENES, GENES).replace("reduce_concat", "concat"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`text` is|`genotype\.|`params\["):
        SPACE.parse(text)


def test_none_is_refused_where_it_is_not_an_operation() -> None:
    genes = (("none", 0), *PLAIN[1:])
    assert architecture_of(genes).params["normal/node_2/op_0"] == "none"
    with pytest.raises(ValueError, match=r"normal/node_2/op_0.* is 'none'"):
        architecture_of(genes, space=WITHOUT_NONE)


@pytest.mark.parametrize(
    "operations", [(), ("none",), ("none", "none"), ("none", "conv"), "none", ("none", 3, "x")]
)
def test_bad_operations(operations: Any) -> None:
    with pytest.raises(ValueError, match=r"`operations` is .*; allowed are two or more"):
        DARTSSpace(operations)


def gene_changes(first: Architecture, second: Architecture) -> dict[tuple[str, int], int]:
    """How many of a node's two genes differ, for each node where some do."""
    changes = {}
    for cell in CELLS:
        for node, old, new in zip(
            (2, 3, 4, 5), SPACE.genes(first, cell), SPACE.genes(second, cell), strict=True
        ):
            if different := len(set(old) - set(new)):
                changes[cell, node] = different
    return changes


def test_mutation_changes_one_gene_and_keeps_inputs_different(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    for _ in range(2_000):
        mutant = SPACE.mutate(architecture, rng)
        assert list(gene_changes(architecture, mutant).values()) == [1]
        for cell in CELLS:
            for (_, first), (_, second) in SPACE.genes(mutant, cell):
                assert first < second
        architecture = mutant


def test_mutation_reaches_every_neighbor_and_no_other(rng: np.random.Generator) -> None:
    """Every operation of every slot, the last one included, and every free input."""
    space = DARTSSpace(("skip_connect", "sep_conv_3x3", "max_pool_3x3"))
    architecture = space.random(rng)
    neighbors = space.neighbors(architecture)
    reached = {space.mutate(architecture, rng) for _ in range(4_000)}
    assert reached == set(neighbors)


def test_mutation_is_uniform_over_cells_and_nodes(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    changed: Counter[tuple[str, int]] = Counter()
    moved = 0
    for _ in range(4_000):
        mutant = SPACE.mutate(architecture, rng)
        changed.update(gene_changes(architecture, mutant))
        moved += any(
            {source for _, source in old} != {source for _, source in new}
            for cell in CELLS
            for old, new in zip(
                SPACE.genes(architecture, cell), SPACE.genes(mutant, cell), strict=True
            )
        )
    assert len(changed) == 8
    assert sum((count - 500) ** 2 / 500 for count in changed.values()) < 24.3  # 99.9 %, 7 degrees
    # An input moves in half of the cases, but never at node 2.
    assert abs(moved / 4_000 - 3 / 8) < 3.3 * math.sqrt(3 / 8 * 5 / 8 / 4_000)


def test_neighbors(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    neighbors = SPACE.neighbors(architecture)
    # Per cell: 7 other operations in 8 slots; node n has n - 2 free inputs for either slot.
    assert len(neighbors) == len(set(neighbors)) == 2 * (8 * 7 + 2 * (0 + 1 + 2 + 3))
    assert architecture not in neighbors
    for neighbor in neighbors:
        assert list(gene_changes(architecture, neighbor).values()) == [1]


def test_paths_are_the_simple_paths_to_every_node(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    graph = architecture.graph
    expected: Counter[tuple[str, tuple[int, ...], tuple[str, ...]]] = Counter()
    for cell in CELLS:
        for start in (0, 1):
            for node in (2, 3, 4, 5):
                for route in nx.all_simple_paths(graph, f"{cell}/{start}", f"{cell}/{node}"):
                    operations = tuple(graph.edges[e]["operation"] for e in pairwise(route))
                    numbers = tuple(int(name.partition("/")[2]) for name in route)
                    expected[f"{cell}/input_{start}", numbers, operations] += 1
    assert Counter(tuple(path) for path in SPACE.paths(architecture)) == expected
    assert sum(expected.values()) >= 2 * 8


def cell_key(architecture: Architecture, cell: str) -> str:
    return architecture.key.split("|")[CELLS.index(cell)]


def test_a_normal_cell_folds_none_and_skips() -> None:
    # Node 3 reads node 2 through a skip, or what node 2 reads.
    through = (("sep_conv_3x3", 0), ("none", 1), ("skip_connect", 2), ("none", 0), *PLAIN[4:])
    other_none = (("sep_conv_3x3", 0), ("none", 1), ("skip_connect", 2), ("none", 1), *PLAIN[4:])
    assert architecture_of(through) != architecture_of(other_none)
    assert architecture_of(through).key == architecture_of(other_none).key
    # A skip from an input and back: node 3 gets input 0 either way.
    skip_input = (("skip_connect", 0), ("none", 1), ("skip_connect", 0), ("none", 1), *PLAIN[4:])
    skip_skip = (("skip_connect", 0), ("none", 1), ("skip_connect", 2), ("none", 1), *PLAIN[4:])
    assert architecture_of(skip_input).key == architecture_of(skip_skip).key


def test_a_reduction_cell_does_not_fold_skips_from_inputs() -> None:
    skip_input = (("skip_connect", 0), ("none", 1), ("skip_connect", 0), ("none", 1), *PLAIN[4:])
    skip_skip = (("skip_connect", 0), ("none", 1), ("skip_connect", 2), ("none", 1), *PLAIN[4:])
    # Two reductions with weights of their own, against one that is used twice.
    assert architecture_of(reduce=skip_input).key != architecture_of(reduce=skip_skip).key
    # Between inner nodes a skip is the identity in both kinds of cell.
    over_2 = (*PLAIN[:2], ("skip_connect", 2), ("none", 0), ("sep_conv_5x5", 3), ("none", 0))
    past_3 = (*PLAIN[:2], ("skip_connect", 2), ("none", 1), ("sep_conv_5x5", 2), ("none", 0))
    first, second = ((*genes, *PLAIN[6:]) for genes in (over_2, past_3))
    assert architecture_of(reduce=first).key == architecture_of(reduce=second).key
    assert architecture_of(first).key == architecture_of(second).key


def test_renumbered_nodes_have_the_same_key() -> None:
    first = (("sep_conv_3x3", 0), ("sep_conv_5x5", 1), ("dil_conv_3x3", 0), ("max_pool_3x3", 1))
    second = (*first[2:], *first[:2])
    rest = (("sep_conv_3x3", 2), ("sep_conv_5x5", 3), ("none", 0), ("skip_connect", 4))
    swapped = (("sep_conv_3x3", 3), ("sep_conv_5x5", 2), ("none", 0), ("skip_connect", 4))
    for cell in CELLS:
        one, two, three = (
            architecture_of(genes) if cell == "normal" else architecture_of(reduce=genes)
            for genes in ((*first, *rest), (*second, *swapped), (*second, *rest))
        )
        assert one.key == two.key != three.key


def test_inputs_and_cells_are_told_apart() -> None:
    mirrored = tuple((operation, 1 - source) for operation, source in PLAIN[:2])
    biased = (("sep_conv_3x3", 0), ("skip_connect", 1), *PLAIN[2:])
    other = (("skip_connect", 0), ("sep_conv_3x3", 1), *PLAIN[2:])
    assert architecture_of((*mirrored, *PLAIN[2:])).key == architecture_of().key
    assert architecture_of(biased).key != architecture_of(other).key
    assert architecture_of(biased, other).key != architecture_of(other, biased).key


@pytest.mark.parametrize("cell", CELLS)
def test_keys_agree_with_graph_isomorphism(
    cell: str, function_graph: FunctionGraph, classes: Classes, rng: np.random.Generator
) -> None:
    space = DARTSSpace(("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"))
    found = [space.random(rng) for _ in range(150)]
    for _ in range(2):
        found += [space.mutate(a, rng) for a in found]
    numbers = classes(
        function_graph(
            6,
            [
                (source, node, operation)
                for node, pair in zip((2, 3, 4, 5), space.genes(a, cell), strict=True)
                for operation, source in pair
            ],
            [2, 3, 4, 5],
            inputs=(0, 1),
            weightless={"max_pool_3x3"},
            skips_with_weights_from=() if cell == "normal" else (0, 1),
        )
        for a in found
    )
    keys = [cell_key(a, cell) for a in found]
    assert len(set(numbers)) == len(set(keys)) == len(set(zip(numbers, keys, strict=True)))
    settings = defaultdict(set)
    for number, a in zip(numbers, found, strict=True):
        settings[number].add(tuple(space.genes(a, cell)))
    assert max(map(len, settings.values())) > 1
