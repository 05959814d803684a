from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch

from optuna_nas._accuracy import Examples, distinguishable, examples_of, standard_error
from optuna_nas.data import ImageData, ImageSplit, TextData, TextSplit
from optuna_nas.data.few import warn_of_few


@pytest.mark.parametrize(
    ("accuracy", "examples", "error"),
    [
        (0.5, 100, 0.05),
        (0.9, 144, 0.025),
        (0.98, 600, math.sqrt(0.98 * 0.02 / 600)),
        # The ends of Wilson's interval with z = 1, (p + 1/2n ± sqrt(p q/n + 1/4n²)) / (1 + 1/n).
        (1.0, 144, 1 / 145),
        (0.0, 9, 0.1),
        (1, 1, 0.5),
    ],
)
def test_errors_are_binomial_and_never_zero(accuracy: float, examples: int, error: float) -> None:
    assert standard_error(accuracy, examples) == pytest.approx(error, rel=1e-12)


def test_the_error_is_the_spread_of_accuracies() -> None:
    drawn = np.random.default_rng(0).binomial(600, 0.9, 20_000) / 600
    assert standard_error(0.9, 600) == pytest.approx(drawn.std(), rel=0.02)


def test_only_one_of_twenty_equal_pairs_is_told_apart() -> None:
    first, second = np.random.default_rng(0).binomial(600, 0.9, (2, 4000)) / 600
    told = [
        distinguishable(a - b, standard_error(a, 600), standard_error(b, 600))
        for a, b in zip(first, second, strict=True)
    ]
    assert np.mean(told) == pytest.approx(0.05, abs=0.015)


def test_two_perfect_trials_are_level_and_a_far_one_is_not() -> None:
    perfect, half = standard_error(1.0, 144), standard_error(0.5, 144)
    assert not distinguishable(0.0, perfect, perfect)
    assert distinguishable(0.5, perfect, half)


@pytest.mark.parametrize("number", [None, "144", 0, -3, 1.5, [144]])
def test_what_is_no_number_of_examples_is_none(number: object) -> None:
    assert examples_of({"validation_images": number}, "validation") is None


def test_examples_have_their_kind() -> None:
    attributes = {"validation_texts": 1200, "test_images": 1}
    assert str(examples_of(attributes, "validation")) == "1,200 texts"
    assert examples_of(attributes, "test") == Examples(1, "images")
    assert str(examples_of(attributes, "test")) == "1 image"


def _images(counts: tuple[int, ...]) -> ImageData:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    split = ImageSplit(torch.zeros(len(labels), 1, 4, 4), labels)
    names = tuple(f"class {number}" for number in range(len(counts)))
    return ImageData("made", split, split, split, names, (0.0,), (1.0,))


def _texts(counts: tuple[int, ...]) -> TextData:
    labels = np.repeat(np.arange(len(counts)), counts)
    split = TextSplit(["text"] * len(labels), labels)
    names = tuple(f"class {number}" for number in range(len(counts)))
    return TextData("made", split, split, split, names)


@pytest.mark.parametrize(("make", "kind"), [(_images, "images"), (_texts, "texts")])
def test_fewer_than_ten_validation_examples_of_a_class_are_a_warning(
    make: object, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(make)
    with caplog.at_level(logging.WARNING, logger="optuna_nas"):
        warn_of_few(make((10, 12)))
        assert not caplog.records
        warn_of_few(make((91, 9)))
        warn_of_few(make((10, 0)))
    first, second = (record.getMessage() for record in caplog.records)
    assert f"Class 'class 1' has 9 validation {kind}, fewer than 10" in first
    assert "up to 0.050" in first and "has 0 validation" in second
