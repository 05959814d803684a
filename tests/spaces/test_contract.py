"""What holds for every space."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import (
    Architecture,
    GraphSpace,
    LayerDropSpace,
    MLPSpace,
    SearchSpace,
    space_from_dict,
)


@pytest.fixture
def drawn(space: SearchSpace, rng: np.random.Generator) -> list[Architecture]:
    return [space.random(rng) for _ in range(20)]


def active(space: SearchSpace, architecture: Architecture) -> list[str]:
    """The parameters that an architecture has: all but those that are conditional on others."""
    params = architecture.params
    return [name for name in space.distributions if space.is_active(name, params)]


def test_description_survives_json(space: SearchSpace) -> None:
    again = space_from_dict(json.loads(json.dumps(space.to_dict())))
    assert type(again) is type(space)
    assert again == space
    assert hash(again) == hash(space)
    assert repr(again) == repr(space)
    assert list(again.distributions.items()) == list(space.distributions.items())
    assert again.path_blocks == space.path_blocks


def test_a_space_survives_pickling(space: SearchSpace, drawn: list[Architecture]) -> None:
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert again.architecture(drawn[0].params) == drawn[0]


def test_distributions_are_a_copy(space: SearchSpace) -> None:
    space.distributions.clear()
    assert space.distributions


def test_random_architectures_are_in_the_space(
    space: SearchSpace, drawn: list[Architecture]
) -> None:
    for architecture in drawn:
        assert architecture.space is space
        assert list(architecture.params) == active(space, architecture)
        assert space.architecture(architecture.params) == architecture
        # Only values that every storage can keep.
        assert {type(v) for v in architecture.params.values()} <= {
            *(str, int, float, bool),
            type(None),
        }


def test_random_depends_on_the_generator_only(space: SearchSpace) -> None:
    first, second = (np.random.default_rng(5) for _ in range(2))
    for _ in range(5):
        a, b = space.random(first), space.random(second)
        assert a == b
        assert space.mutate(a, first) == space.mutate(b, second)


def test_random_reaches_every_choice(space: SearchSpace, rng: np.random.Generator) -> None:
    drawn = [space.random(rng) for _ in range(400)]
    for name, distribution in space.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            assert {a[name] for a in drawn if name in a} == set(distribution.choices)


def test_mutants_and_neighbors(
    space: SearchSpace, drawn: list[Architecture], rng: np.random.Generator
) -> None:
    for architecture in drawn[:5]:
        before = architecture.params
        for changed in [space.mutate(architecture, rng), *space.neighbors(architecture)]:
            assert changed != architecture
            assert space.architecture(changed.params) == changed
        assert architecture.params == before
        neighbors = space.neighbors(architecture)
        assert len(neighbors) == len(set(neighbors)) > 0


def test_children_are_in_the_space(
    space: SearchSpace, drawn: list[Architecture], rng: np.random.Generator
) -> None:
    if not isinstance(space, GraphSpace):
        pytest.skip("Not every space has a crossover.")
    for first, second in pairwise(drawn):
        child = space.crossover(first, second, rng)
        assert space.architecture(child.params) == child
        assert all(value in (first[name], second[name]) for name, value in child.params.items())
    assert space.crossover(drawn[0], drawn[0], rng) == drawn[0]


def test_texts_survive_parsing(space: SearchSpace, drawn: list[Architecture]) -> None:
    for architecture in drawn:
        again = space.parse(str(architecture))
        assert again == architecture
        assert again.key == architecture.key
        assert hash(again) == hash(architecture)


def test_texts_and_keys_tell_architectures_apart(
    space: SearchSpace, drawn: list[Architecture]
) -> None:
    assert len({str(a) for a in drawn}) == len(set(drawn))
    assert all(a.key for a in drawn)


def test_keys_are_remembered_but_not_made_up(
    space: SearchSpace, drawn: list[Architecture]
) -> None:
    assert [a.key for a in drawn] == [space.key(a) for a in drawn]
    again = pickle.loads(pickle.dumps(space))
    assert [again.architecture(a.params).key for a in drawn] == [a.key for a in drawn]


def test_simplifying_keeps_the_function(space: SearchSpace, drawn: list[Architecture]) -> None:
    for architecture in drawn:
        simple = space.simplify(architecture)
        assert simple.key == architecture.key
        assert simple.params.keys() <= architecture.params.keys()


def test_paths_are_spelled_in_their_blocks(space: SearchSpace, drawn: list[Architecture]) -> None:
    blocks = space.path_blocks
    for architecture in drawn:
        for path in space.paths(architecture):
            block = blocks[path.block]
            assert block.min_length <= len(path.operations) <= block.max_length
            assert set(path.operations) <= set(block.alphabet)
    if not blocks:
        assert space.paths(drawn[0]) == []


def test_graphs_have_labels_and_no_cycles(space: SearchSpace, drawn: list[Architecture]) -> None:
    import networkx as nx

    for architecture in drawn[:5]:
        graph = architecture.graph
        assert architecture.graph is graph
        assert nx.is_directed_acyclic_graph(graph)
        labels = [graph.nodes[node].get("label") for node in graph]
        assert labels
        assert all(isinstance(label, str) for label in labels)


def test_suggest_reads_a_fixed_trial(space: SearchSpace, drawn: list[Architecture]) -> None:
    trial = optuna.trial.FixedTrial({**drawn[0].params, "learning_rate": 0.1})
    assert space.suggest(trial) == drawn[0]
    assert list(trial.distributions) == active(space, drawn[0])
    assert trial.distributions.items() <= space.distributions.items()


def test_parameters_of_other_names_are_left_out(
    space: SearchSpace, drawn: list[Architecture]
) -> None:
    assert space.architecture({**drawn[0].params, "learning_rate": 0.1}) == drawn[0]


def test_a_missing_parameter_is_an_error(space: SearchSpace, drawn: list[Architecture]) -> None:
    params = drawn[0].params
    name, _ = params.popitem()
    with pytest.raises(ValueError, match=f"`params` lacks '{name}'; {space.name} needs"):
        space.architecture(params)


def test_a_foreign_value_is_an_error(space: SearchSpace, drawn: list[Architecture]) -> None:
    params = drawn[0].params
    name, _ = params.popitem()
    params[name] = "sep_conv_9x9"
    with pytest.raises(ValueError, match=rf"`params\['{name}'\]` is 'sep_conv_9x9'; allowed is"):
        space.architecture(params)
    assert space.read(params) is None


def test_texts_of_another_space_are_refused(space: SearchSpace) -> None:
    with pytest.raises(ValueError, match="`text` is '<graph>'"):
        space.parse("<graph>")


def test_size_is_the_product_of_the_choices(space: SearchSpace) -> None:
    if isinstance(space, (LayerDropSpace, MLPSpace)):
        pytest.skip(
            "Masks outside of its bounds are repaired, widths of other depths not counted."
        )
    expected: int | None = 1
    for distribution in space.distributions.values():
        if not isinstance(distribution, CategoricalDistribution):
            expected = None
        elif expected is not None:
            expected *= len(distribution.choices)
    assert space.size == expected


def test_unknown_descriptions_name_the_known_spaces() -> None:
    with pytest.raises(ValueError, match=r"Unknown search space 'Mine'; known are .*'DARTSSpace'"):
        space_from_dict({"space": "Mine"})
