"""The EdgeNES space: its size, its notation, mutation, and what its keys tell apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import networkx as nx
import numpy as np
import optuna
import pytest

from optuna_nas.samplers import BananasSampler, RegularizedEvolutionSampler
from optuna_nas.spaces import EDGE_NES_OPERATIONS, Architecture, EdgeNESSpace

SPACE = EdgeNESSpace()
TEXT = "|sep_conv_3x3~1|+|skip_connect~2|+|max_pool_3x3~0|+|dil_conv_5x5~3|"
GENES = (("sep_conv_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 0), ("dil_conv_5x5", 3))
Classes = Callable[[Iterable["nx.DiGraph[int]"]], list[int]]
FunctionGraph = Callable[..., "nx.DiGraph[int]"]


def test_size() -> None:
    assert SPACE.size == (2 * 3 * 4 * 5) * 7**4 == 288_120
    assert EdgeNESSpace(num_nodes=2).size == 2 * 3 * 7**2
    assert len(EDGE_NES_OPERATIONS) == 7 and "none" not in EDGE_NES_OPERATIONS
    assert list(SPACE.distributions)[:3] == ["node_2_input", "node_2_op", "node_3_input"]


def test_notation() -> None:
    architecture = SPACE.parse(TEXT)
    assert str(architecture) == TEXT
    assert SPACE.genes(architecture) == GENES
    assert SPACE.from_genes(GENES) == architecture
    assert architecture["node_5_input"] == 3 and architecture["node_4_op"] == "max_pool_3x3"
    assert SPACE.parse(f" {TEXT}\n") == architecture


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("+|dil_conv_5x5~3|", ""),
        f"{TEXT}+|skip_connect~0|",
        TEXT.replace("~1", "~2"),
        TEXT.replace("~3", "~-1"),
        TEXT.replace("~3", ""),
        TEXT.replace("dil_conv_5x5", "none"),
        TEXT.replace("|+|", "||"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`text` is|`params\["):
        SPACE.parse(text)


def test_paths() -> None:
    found = SPACE.paths(SPACE.parse(TEXT))
    assert found == [
        ("input_1", (1, 2), ("sep_conv_3x3",)),
        ("input_1", (1, 2, 3), ("sep_conv_3x3", "skip_connect")),
        ("input_0", (0, 4), ("max_pool_3x3",)),
        ("input_1", (1, 2, 3, 5), ("sep_conv_3x3", "skip_connect", "dil_conv_5x5")),
    ]
    assert [block.size for block in SPACE.path_blocks.values()] == [7 + 49 + 343 + 2401] * 2


def test_graph() -> None:
    graph = SPACE.parse(TEXT).graph
    operations = {(s, t): d["operation"] for s, t, d in graph.edges(data=True) if d}
    assert operations == {
        (1, 2): GENES[0][0],
        (2, 3): GENES[1][0],
        (0, 4): GENES[2][0],
        (3, 5): GENES[3][0],
    }
    assert set(graph.pred[6]) == {2, 3, 4, 5}


def test_neighbors_differ_in_one_parameter(rng: np.random.Generator) -> None:
    architecture = SPACE.random(rng)
    neighbors = SPACE.neighbors(architecture)
    assert len(set(neighbors)) == len(neighbors) == 4 * 6 + (1 + 2 + 3 + 4)
    for neighbor in neighbors:
        assert len(architecture.params.items() - neighbor.params.items()) == 1


def test_mutation_chooses_nodes_and_parts_uniformly(rng: np.random.Generator) -> None:
    architecture = SPACE.parse(TEXT)
    changed: Counter[str] = Counter()
    for _ in range(4000):
        mutant = SPACE.mutate(architecture, rng)
        [name] = {k for k, v in mutant.params.items() if v != architecture[k]}
        changed[name] += 1
    assert set(changed) == set(SPACE.distributions)
    assert all(abs(count - 500) < 5 * np.sqrt(500) for count in changed.values())


def test_keys_tell_functions_apart(
    function_graph: FunctionGraph, classes: Classes, rng: np.random.Generator
) -> None:
    """Keys are equal exactly where the functions are the same, by a second opinion on those."""
    space = EdgeNESSpace(("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3"), 3)
    drawn = [space.random(rng) for _ in range(400)]
    keys: dict[str, int] = {}
    ours = [keys.setdefault(architecture.key, len(keys)) for architecture in drawn]
    theirs = classes([_function(function_graph, space, a) for a in drawn])
    assert len(keys) < 300
    assert len(set(zip(ours, theirs, strict=True))) == len(keys) == len(set(theirs))


def _function(
    build: FunctionGraph, space: EdgeNESSpace, architecture: Architecture
) -> nx.DiGraph[int]:
    edges = [
        (source, node, operation)
        for node, (operation, source) in zip(space.nodes, space.genes(architecture), strict=True)
    ]
    return build(
        2 + space.num_nodes,
        edges,
        space.nodes,
        inputs=(0, 1),
        weightless=("max_pool_3x3",),
        skips_with_weights_from=(0, 1),
    )


def test_order_of_equal_nodes_does_not_matter() -> None:
    first = SPACE.parse("|sep_conv_3x3~0|+|max_pool_3x3~1|+|skip_connect~2|+|dil_conv_3x3~3|")
    second = SPACE.parse("|max_pool_3x3~1|+|sep_conv_3x3~0|+|dil_conv_3x3~2|+|skip_connect~3|")
    assert first.key == second.key != SPACE.parse(TEXT).key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": ["skip_connect"]}, "`operations` is .*two or more different names"),
        ({"operations": ["a", "a"]}, "`operations` is .*two or more different names"),
        ({"operations": "skip_connect"}, "`operations` is 'skip_connect'"),
        ({"operations": ["a|b", "c"]}, "`operations` is .*names of letters"),
        ({"num_nodes": 0}, "`num_nodes` is 0; allowed is an integer from 1 to 100"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EdgeNESSpace(**options)


def test_wrong_genes() -> None:
    with pytest.raises(ValueError, match=r"`genes` is .*needs 4 pairs"):
        SPACE.from_genes(GENES[:3])
    with pytest.raises(ValueError, match=r"`params\['node_2_input'\]` is 2"):
        SPACE.from_genes([("sep_conv_3x3", 2), *GENES[1:]])


@pytest.mark.parametrize(
    "sampler",
    [
        BananasSampler(n_startup_trials=5, seed=0),
        RegularizedEvolutionSampler(population_size=10, tournament_size=4, seed=0),
    ],
    ids=["bananas", "evolution"],
)
def test_samplers_search_it(sampler: optuna.samplers.BaseSampler) -> None:
    """More separable convolutions are better, which every sampler finds out."""

    def objective(trial: optuna.Trial) -> float:
        architecture = SPACE.suggest(trial)
        return sum(name.startswith("sep") for name, _ in SPACE.genes(architecture))

    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=40)
    first, later = (
        np.mean([t.values[0] for t in part]) for part in (study.trials[:10], study.trials[-10:])
    )
    assert later > first
    assert len({str(SPACE.architecture(t.params)) for t in study.trials}) == 40
