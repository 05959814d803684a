"""Spaces too large to compute with are refused at once, also where a database describes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from optuna_nas.spaces import (
    CellSpace,
    EdgeNESSpace,
    LayerDropSpace,
    NASBench101Space,
    recall_space,
)
from optuna_nas.spaces.study import SPACE_ATTRIBUTE

LARGE: dict[str, Callable[[int], object]] = {
    "num_nodes=17": lambda n: CellSpace(n, ("a", "b")),
    "num_nodes=101": lambda n: EdgeNESSpace(num_nodes=n),
    "num_layers=1001": lambda n: LayerDropSpace(n),
    "max_vertices=17": lambda n: NASBench101Space(n),
}


@pytest.mark.parametrize("name", LARGE)
def test_too_large_a_space_is_refused_at_once(name: str) -> None:
    argument, first = name.split("=")
    start = time.monotonic()
    for number in (int(first), 10**6, 10**18):
        with pytest.raises(ValueError, match=f"`{argument}` is {number}; allowed is an integer"):
            LARGE[name](number)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("name", LARGE)
def test_the_largest_allowed_is_quick(name: str) -> None:
    start = time.monotonic()
    LARGE[name](int(name.split("=")[1]) - 1)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "stored",
    [
        {"space": "CellSpace", "num_nodes": 10**18, "operations": ["a", "b"], "weightless": []},
        {"space": "CellSpace", "num_nodes": "3", "operations": ["a", "b"], "weightless": []},
        {"space": "CellSpace", "num_nodes": 3, "operations": 7, "weightless": []},
        {"space": "CellSpace", "num_nodes": 3, "operations": ["a", ["b"]], "weightless": [[]]},
        {"space": "CellSpace"},
        {"space": "LayerDropSpace", "num_layers": 10**9, "min_layers": 1, "max_layers": 10**9},
        {"space": "FlatSpace", "distributions": {"x": "{}"}},
        {"space": "FlatSpace", "distributions": ["x"]},
        {"space": ["CellSpace"]},
        {"space": "os.system"},
        ["CellSpace"],
        "CellSpace",
        3,
    ],
)
def test_a_description_that_is_none_is_an_error_of_one_kind(stored: Any) -> None:
    study = optuna.create_study()
    study.set_user_attr(SPACE_ATTRIBUTE, stored)
    with pytest.raises(ValueError):
        recall_space(study)
