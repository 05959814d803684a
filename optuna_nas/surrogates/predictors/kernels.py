"""Kernels of the Gaussian process, as functions of a distance between encoded architectures.

The distance is the squared Euclidean one, which counts the bits that differ: the Hamming distance.
A kernel maps `u`, the distance divided by the length scale, to a correlation, 1 at `u = 0`. Each
is the characteristic function of a distribution of frequencies, which gives random features whose
products approximate it (Rahimi and Recht 2007).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Kernel(ABC):
    """A correlation that falls with the distance."""

    @abstractmethod
    def correlation(self, ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The correlation `k(u)` and its slope in the logarithm of the length, `-u k'(u)`."""

    @abstractmethod
    def frequencies(self, rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
        """Independent columns `w` with `E[cos(w (x - y))] = k(|x - y|^2)`, `rows x columns`."""


class Matern(Kernel):
    """The Matérn kernel of smoothness 3/2, `(1 + s) exp(-s)` with `s = sqrt(3 u)`."""

    def correlation(self, ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The correlation and its slope."""
        scaled = np.sqrt(3 * ratio)
        decay = np.exp(-scaled)
        return (1 + scaled) * decay, scaled**2 * decay / 2

    def frequencies(self, rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
        """Columns of a multivariate t distribution with three degrees of freedom."""
        normal = rng.standard_normal((rows, columns), dtype=np.float32)
        scale = np.sqrt(3 / rng.chisquare(3, columns)).astype(np.float32)
        return np.asarray(normal * scale)


class Exponential(Kernel):
    """The exponential of the distance, `exp(-u)`; for numbers it is the Gaussian kernel."""

    def correlation(self, ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The correlation and its slope."""
        decay = np.exp(-ratio)
        return decay, ratio * decay

    def frequencies(self, rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
        """Columns of a normal distribution with variance two."""
        normal = rng.standard_normal((rows, columns), dtype=np.float32)
        return np.asarray(normal * np.float32(np.sqrt(2)))


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The squared Euclidean distances between `n x d` and `m x d`: a matrix `n x m`."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :]
    return np.asarray((squares - 2 * first @ second.T).clip(min=0))
