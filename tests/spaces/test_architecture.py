"""Architectures are values: immutable, comparable, hashable, picklable."""

from __future__ import annotations

import pickle

import pytest

from optuna_nas.spaces import CellSpace, NASBench201Space
from optuna_nas.spaces.architecture import PathBlock

SPACE = NASBench201Space()
TEXT = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"


def test_params_are_a_copy() -> None:
    given = SPACE.parse(TEXT).params
    architecture = SPACE.architecture(given)
    given["edge_0_1"] = "none"
    architecture.params["edge_0_1"] = "none"
    assert str(architecture) == TEXT
    assert architecture["edge_0_1"] == "nor_conv_3x3"
    assert "edge_0_1" in architecture
    assert "edge_0_4" not in architecture


@pytest.mark.parametrize("name", ["params", "space", "key"])
def test_attributes_cannot_be_replaced(name: str) -> None:
    if name == "key":
        return  # computed once and kept: a plain attribute afterwards
    with pytest.raises(AttributeError):
        setattr(SPACE.parse(TEXT), name, None)


def test_equality_is_of_parameters_and_space() -> None:
    one, two = SPACE.parse(TEXT), NASBench201Space().parse(TEXT)
    assert one == two
    assert hash(one) == hash(two)
    assert len({one, two}) == 1
    other = SPACE.parse(TEXT.replace("none~0|skip", "none~0|nor_conv_1x1").replace("_connect", ""))
    assert one != other
    elsewhere = CellSpace(4, SPACE.operations).parse(TEXT)
    assert elsewhere.params == one.params
    assert elsewhere != one
    assert one != TEXT


def test_same_function_is_not_equality() -> None:
    dead_end = SPACE.parse(TEXT.replace("none~0|none~1", "avg_pool_3x3~0|none~1"))
    assert dead_end != SPACE.parse(TEXT)
    assert dead_end.key == SPACE.parse(TEXT).key


def test_the_order_of_parameters_does_not_matter() -> None:
    params = SPACE.parse(TEXT).params
    again = SPACE.architecture(dict(reversed(params.items())))
    assert again == SPACE.parse(TEXT)
    assert list(again.params) == list(SPACE.distributions)


def test_pickling() -> None:
    architecture = SPACE.parse(TEXT)
    key, graph = architecture.key, architecture.graph
    again = pickle.loads(pickle.dumps(architecture))
    assert again == architecture
    assert again.key == key
    assert sorted(again.graph.edges) == sorted(graph.edges)


@pytest.mark.parametrize(
    ("block", "size"),
    [
        (PathBlock(("a", "b", "c"), 0, 5), 364),
        (PathBlock(("a", "b", "c"), 0, 3), 40),
        (PathBlock(tuple("abcde"), 1, 3), 155),
        (PathBlock(tuple("abcdefgh"), 0, 4), 4_681),
        (PathBlock(tuple("abcdefg"), 0, 4), 2_801),
        (PathBlock(("a",), 1, 1), 1),
    ],
)
def test_block_sizes(block: PathBlock, size: int) -> None:
    assert block.size == size
