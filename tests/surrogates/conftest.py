"""Fixtures for the surrogates."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np
import pytest

from optuna_nas.spaces import Architecture


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def error() -> Callable[[Architecture], float]:
    """An additive error: every setting of every parameter adds its own fixed amount."""

    def add(architecture: Architecture) -> float:
        return sum(
            crc32(f"{name}={value}".encode()) / 2**32
            for name, value in architecture.params.items()
        )

    return add
