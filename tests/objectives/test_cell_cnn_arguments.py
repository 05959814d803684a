"""Wrong arguments are refused by name, before anything is trained or written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optuna_nas.data import ImageData
from optuna_nas.objectives import CellCNN
from optuna_nas.objectives.devices import usable_device
from optuna_nas.spaces import CellSpace, DARTSSpace, FlatSpace, NASBench201Space

Small = Callable[..., CellCNN]


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("epochs", 0, "an integer of 1 or more"),
        ("epochs", 1.5, "an integer of 1 or more"),
        ("epochs", True, "an integer of 1 or more"),
        ("batch_size", 1, "an integer of 2 or more"),
        ("batch_size", 32.0, "an integer of 2 or more"),
        ("channels", 0, "an integer of 1 or more"),
        ("channels", "8", "an integer of 1 or more"),
        ("cells", -1, "an integer of 1 or more"),
        ("learning_rate", 0, "positive numbers"),
        ("learning_rate", float("nan"), "positive numbers"),
        ("learning_rate", float("inf"), "positive numbers"),
        ("learning_rate", "0.1", "positive numbers"),
        ("momentum", 1.0, "numbers from 0 to below 1"),
        ("momentum", None, "numbers from 0 to below 1"),
        ("weight_decay", -0.1, "numbers from 0 to below 1"),
        ("gradient_clip", 0.0, "positive numbers"),
        ("drop_path_probability", 1.0, "numbers from 0 to below 1"),
        ("crop_padding", -1, "an integer of 0 or more"),
        ("crop_padding", 8, "an integer from 0 to 7"),
        ("cutout", 9, "an integer from 0 to 8"),
        ("cutout", 2.5, "an integer of 0 or more"),
        ("seed", -1, "an integer from 0 to 2147483647"),
        ("seed", 2**31, "an integer from 0 to 2147483647"),
        ("device", "abacus", "None, 'cpu' and the devices that torch finds"),
        ("device", "cuda:99", "None, 'cpu' and the devices that torch finds"),
        ("device", "meta", "None, 'cpu' and the devices that torch finds"),
        ("device", 2.5, "None, 'cpu' and the devices that torch finds"),
    ],
)
def test_the_error_names_argument_value_and_what_is_allowed(
    small: Small, argument: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ValueError, match=rf"^`{argument}` is {re.escape(repr(value))}[,;]") as e:
        small(**{argument: value})
    assert allowed in str(e.value)


def test_an_argument_of_another_kind_of_space(small: Small) -> None:
    with pytest.raises(ValueError, match=r"`auxiliary` is True, but networks of NASBench201Space"):
        small(auxiliary=True)
    with pytest.raises(
        ValueError, match=r"`drop_path_probability` is 0.2, but networks of NASBench201Space"
    ):
        small(drop_path_probability=0.2)


def test_a_space_that_is_none_or_has_no_networks(small: Small) -> None:
    with pytest.raises(TypeError, match=r"`space` is 'nasbench201'; allowed are search spaces"):
        small(space="nasbench201")
    with pytest.raises(TypeError, match=r"of FlatSpace, which has no network"):
        small(space=FlatSpace(NASBench201Space().distributions))


@pytest.mark.parametrize("seed", range(3))
def test_every_operation_of_the_space_must_be_known(small: Small, seed: int) -> None:
    # With so many operations a random cell rarely has the unknown one.
    names = ["none", "skip_connect", "nor_conv_3x3", "sep_conv_3x3", "avg_pool_3x3", "conv_9x9"]
    with pytest.raises(ValueError, match=r"'conv_9x9', which is no known operation; known are"):
        small(space=CellSpace(3, names), seed=seed)


def test_images_too_small_for_the_auxiliary_head(small: Small) -> None:
    with pytest.raises(ValueError, match="too small for the auxiliary head: 2x2 pixels"):
        small(space=DARTSSpace(), cells=3, auxiliary=True)


def test_artifacts_must_be_a_folder(small: Small, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match=r"`artifacts` is '.*file', but '.*file' is no folder"):
        small(artifacts=file)
    small(artifacts=tmp_path / "new" / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]  # nothing is made yet


def test_data_that_is_none() -> None:
    with pytest.raises(ValueError, match="/no/such/folder"):
        CellCNN(NASBench201Space(), "/no/such/folder")


def test_numbers_of_numpy_are_numbers(small: Small, few_digits: ImageData) -> None:
    plain = small(epochs=2, channels=4, learning_rate=0.5, seed=3)
    numpy = small(
        epochs=np.int64(2), channels=np.int32(4), learning_rate=np.float64(0.5), seed=np.int8(3)
    )
    assert numpy.settings() == plain.settings()
    assert all(type(v) is type(plain.settings()[k]) for k, v in numpy.settings().items())


def test_settings_name_all_that_decides_the_outcome(small: Small) -> None:
    objective = small(device="cpu")
    settings = objective.settings()
    for name, value in {
        "epochs": 7,
        "batch_size": 8,
        "channels": 3,
        "cells": 2,
        "learning_rate": 0.3,
        "momentum": 0.5,
        "weight_decay": 0.01,
        "flip": True,
        "crop_padding": 3,
        "cutout": 2,
        "gradient_clip": 1.0,
        "seed": 5,
    }.items():
        changed = small(**{name: value}).settings()
        assert [k for k in settings if settings[k] != changed[k]] == [name]


def test_devices() -> None:
    assert usable_device("cpu").type == "cpu"
    assert usable_device(usable_device("cpu")).type == "cpu"
    assert usable_device(None).type in ("cpu", "cuda")
