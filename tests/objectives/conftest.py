from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from optuna_nas.data import ImageData, ImageSplit, load_images
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import Architecture, NASBench201Space


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """The handwritten digits: 1,150 training, 288 validation and 359 test images of 8x8."""
    return load_images("digits")


@pytest.fixture(scope="session")
def few_digits() -> ImageData:
    return load_images("digits", train_size=130, validation_size=60, test_size=40)


@pytest.fixture(scope="session")
def good_cell() -> Architecture:
    return NASBench201Space().parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+"
        "|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    )


@pytest.fixture
def small(few_digits: ImageData) -> Callable[..., CellCNN]:
    """Make an objective whose trainings take a fraction of a second."""

    def make(**options: Any) -> CellCNN:
        settings: dict[str, Any] = {
            "space": NASBench201Space(),
            "data": few_digits,
            "epochs": 3,
            "batch_size": 32,
            "channels": 4,
            "cells": 1,
            "artifacts": None,
        }
        return CellCNN(**settings | options)

    return make


def random_images(
    channels: int, size: int, *, train: int = 12, others: int = 4, classes: int = 3
) -> ImageData:
    """Images of noise with labels in turn."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> ImageSplit:
        images = torch.randn(count, channels, size, size, generator=generator)  # N C H W
        return ImageSplit(images, torch.arange(count) % classes)

    return ImageData(
        name="noise",
        train=split(train),
        validation=split(others),
        test=split(others),
        class_names=tuple("abcdefgh"[:classes]),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )


@pytest.fixture(scope="session")
def colour_noise() -> ImageData:
    """16 random colour images of 32x32, 12 of them to train on."""
    return random_images(3, 32)
