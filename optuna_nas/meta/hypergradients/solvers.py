"""Solve H x = b for a matrix that is known by its products only.

Conjugate gradients need a symmetric positive definite H, and as many steps as it has different
eigenvalues. The Neumann series x = α Σ_j (I - αH)^j b needs eigenvalues between 0 and 2/α, and
approaches x from below if it is cut off.

References: M. R. Hestenes, E. Stiefel, "Methods of Conjugate Gradients for Solving Linear
Systems", J. Res. NBS 1952; J. Lorraine, P. Vicol, D. Duvenaud, "Optimizing Millions of
Hyperparameters by Implicit Differentiation", AISTATS 2020, arXiv:1911.02590, for the series.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from optuna_nas.trials.divergence import DivergedError

Product: TypeAlias = Callable[[Tensor], Tensor]
"""The matrix times a vector."""


@dataclass(frozen=True)
class ConjugateGradients:
    """Conjugate gradients.

    Args:
        iterations: The most steps.
        tolerance: The norm of the rest, as a share of that of b, with which it ends.
    """

    iterations: int = 100
    tolerance: float = 1e-10

    def __call__(self, product: Product, b: Tensor) -> Tensor:
        """Solve H x = b.

        Raises:
            DivergedError: H is not positive definite.
        """
        x, rest = torch.zeros_like(b), b
        direction, norm = rest, rest @ rest
        goal = self.tolerance**2 * float(norm)
        for _ in range(self.iterations):
            if float(norm) <= goal:
                break
            image = product(direction)
            curvature = float(direction @ image)
            if not curvature > 0:
                raise DivergedError(
                    f"the training loss has the curvature {curvature:.3g} in a direction; the "
                    "implicit gradient needs a minimum. A positive `damping` helps, or a longer "
                    "training"
                )
            length = norm / curvature
            x, rest = x + length * direction, rest - length * image
            last, norm = norm, rest @ rest
            direction = rest + (norm / last) * direction
        return x


@dataclass(frozen=True)
class Neumann:
    """The Neumann series.

    Args:
        iterations: The number of its terms.
        rate: α, below 2 / the largest eigenvalue.
    """

    iterations: int = 100
    rate: float = 0.1

    def __call__(self, product: Product, b: Tensor) -> Tensor:
        """Solve H x = b.

        Raises:
            DivergedError: The terms grow.
        """
        total = term = self.rate * b
        first = float(term.norm())
        for _ in range(self.iterations - 1):
            term = term - self.rate * product(term)
            if not float(term.norm()) <= 1e3 * first:
                raise DivergedError(
                    f"the Neumann series grows with `rate` {self.rate:g}; allowed are rates below "
                    "2 / the largest curvature of the training loss, which must not be negative"
                )
            total = total + term
        return total
