"""The spaces of NAS-Bench-1Shot1: exact counts, and the cells that they share with 101."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from optuna_nas.objectives.tabular.nasbench1shot1 import _all_codes
from optuna_nas.spaces import NASBench1Shot1Space, NASBench101Space

SPACE = NASBench1Shot1Space(2)
TEXT = "conv3x3-bn-relu<0|maxpool3x3<0|conv1x1-bn-relu<0,2|maxpool3x3<1,2|output<0,2,3"


@pytest.mark.parametrize(
    ("number", "settings", "graphs", "labelled", "whole", "whole_labelled", "functions"),
    [
        (1, 14_580, 66, 3_702, 38, 3_078, 2_685),
        (2, 29_160, 190, 12_474, 138, 11_178, 7_773),
        (3, 1_312_200, 876, 135_900, 445, 108_135, 55_854),
    ],
)
def test_counts(
    number: int,
    settings: int,
    graphs: int,
    labelled: int,
    whole: int,
    whole_labelled: int,
    functions: int,
) -> None:
    """Of settings, pruned graphs, these times operations, those with every vertex, functions."""
    space = NASBench1Shot1Space(number)
    assert space.size == settings
    used = [len({target for _, target in edges}) - 1 for edges in space.graphs()]
    assert len(used) == graphs
    assert sum(3**count for count in used) == labelled
    every = [count for count in used if count == space.num_operations]
    assert len(every) == whole
    assert sum(3**count for count in every) == whole_labelled
    assert len(np.unique(_all_codes(space))) == functions


def test_keys_are_as_many_as_functions() -> None:
    space = NASBench1Shot1Space(1)
    choices = (d.choices for d in space.distributions.values())  # type: ignore[attr-defined]
    keys = {
        space.architecture(dict(zip(space.distributions, values, strict=True))).key
        for values in product(*choices)
    }
    assert len(keys) == 2_685


def test_cells_are_those_of_nasbench101(rng: np.random.Generator) -> None:
    cells = NASBench101Space()
    for number in (1, 2, 3):
        space = NASBench1Shot1Space(number)
        for _ in range(30):
            architecture = space.random(rng)
            same = cells.from_matrix(*space.cell(architecture))  # at most nine edges
            assert architecture.key == same.key
            assert {p.operations for p in space.paths(architecture)} == {
                p.operations for p in cells.paths(same)
            }


def test_notation_and_pruning() -> None:
    architecture = SPACE.parse(TEXT)
    assert str(architecture) == TEXT
    assert SPACE.parents(architecture, 1) == (0,)  # vertex 1 has no choice, and no parameter
    assert "node_1_parents" not in SPACE.distributions
    assert SPACE.live_edges(architecture) == ((0, 2), (0, 3), (2, 3), (0, 5), (2, 5), (3, 5))
    simple = SPACE.simplify(architecture)
    assert {name for name in architecture.params if name not in simple} == {
        "node_1_op",
        "node_4_op",
        "node_4_parents",
    }
    for wrong in (
        TEXT.replace("<1,2|", "<1|"),
        TEXT.replace("conv3x3-bn-relu<0", "conv3x3-bn-relu<1"),
        TEXT.replace("maxpool", "minpool"),
        TEXT.removesuffix("|output<0,2,3"),
        TEXT.replace("output", "maxpool3x3"),
    ):
        with pytest.raises(ValueError, match=r"`text` is|`params\["):
            SPACE.parse(wrong)


@pytest.mark.parametrize("number", [0, 4, True, "1"])
def test_other_numbers_are_refused(number: object) -> None:
    with pytest.raises(ValueError, match=r"`number` is .*; allowed are \[1, 2, 3\]"):
        NASBench1Shot1Space(number)  # type: ignore[arg-type]
