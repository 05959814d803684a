"""Chains: published sizes, notation, and which skipped layers are the same."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from optuna_nas import BananasSampler
from optuna_nas.spaces import (
    FBNET_OPERATIONS,
    PROXYLESS_OPERATIONS,
    SQUEEZENAS_OPERATIONS,
    ChainSpace,
)
from optuna_nas.surrogates.encodings import PathEncoding


@pytest.mark.parametrize(
    ("space", "layers", "operations", "last"),
    [
        (ChainSpace.fbnet(), 22, 9, 352),
        (ChainSpace.proxyless(), 21, 7, 320),
        (ChainSpace.squeezenas(), 20, 13, 96),
    ],
    ids=["FBNet", "ProxylessNAS", "SqueezeNAS"],
)
def test_published_spaces(space: ChainSpace, layers: int, operations: int, last: int) -> None:
    assert len(space.layers) == layers
    assert space.size == operations**layers
    assert space.layers[-1].channels == last


def test_published_operations() -> None:
    assert [len(o) for o in (FBNET_OPERATIONS, PROXYLESS_OPERATIONS, SQUEEZENAS_OPERATIONS)] == [
        9,
        7,
        13,
    ]
    widths = [layer.channels for layer in ChainSpace.fbnet().layers]
    assert widths == [16, *[24] * 4, *[32] * 4, *[64] * 4, *[112] * 4, *[184] * 4, 352]
    strides = "".join(str(layer.stride) for layer in ChainSpace.fbnet().layers)
    assert strides == "1" + "2111" * 3 + "1111" + "2111" + "1"


SPACE = ChainSpace([(8, 1), (8, 1), (12, 2), (12, 1)], ("a", "b", "skip_connect"), stem=(8, 1))


def key(text: str) -> str:
    return SPACE.parse(text).key


def test_keys_drop_layers_that_are_nothing() -> None:
    assert key("a|skip_connect|b|b") == key("skip_connect|a|b|b") != key("a|a|b|b")
    assert key("a|b|a|skip_connect") != key("b|a|a|skip_connect")
    # A skipped layer that halves the resolution is a convolution.
    assert key("a|a|skip_connect|b") != key("a|a|b|skip_connect")
    assert key("skip_connect|skip_connect|b|skip_connect") == "b@8>12/2"


def test_notation() -> None:
    text = "a|skip_connect|b|b"
    assert str(SPACE.parse(f" {text}\n")) == text
    assert SPACE.chosen(SPACE.parse(text)) == ("a", "skip_connect", "b", "b")
    with pytest.raises(ValueError, match="needs 4 operations, separated"):
        SPACE.parse("a|b")
    with pytest.raises(ValueError, match=r"`params\['layer_03'\]` is 'c'"):
        SPACE.parse("a|b|b|c")
    with pytest.raises(ValueError, match=r"`operations` is \['a'\]; ChainSpace needs 4"):
        SPACE.from_operations(["a"])


def test_paths_too_long_for_bits_have_none() -> None:
    space = ChainSpace.fbnet()
    assert PathEncoding().dimension(space) == PathEncoding(fold=True).dimension(space) == 0
    assert len(space.paths(space.parse("|".join(["mbconv_k3_e1"] * 22)))) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": []}, "`the number of `layers`` is 0"),
        ({"layers": [(8, 3)]}, r"`layers\[0\]\[1\]` is 3; allowed is an integer from 1 to 2"),
        ({"layers": [(8, 1), (0, 1)]}, r"`layers\[1\]\[0\]` is 0"),
        ({"layers": [8]}, r"`layers\[0\]` is 8; allowed is a width and a stride"),
        ({"stem": (8,)}, r"`stem` is \(8,\)"),
        ({"head": -1}, "`head` is -1"),
        ({"operations": ("a",)}, "`operations` is"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChainSpace(**options)


def test_bananas_finds_what_matters_in_few_trials() -> None:
    """The share of one operation, and one layer that must not be skipped."""
    space = ChainSpace()

    def objective(trial: optuna.Trial) -> float:
        chosen = space.chosen(space.suggest(trial))
        return chosen.count("mbconv_k5_e3") - 3 * (chosen[3] == "skip_connect")

    study = optuna.create_study(
        direction="maximize", sampler=BananasSampler(seed=0, n_startup_trials=10)
    )
    study.optimize(objective, n_trials=50)
    assert study.best_value >= 5
