"""Hypergradients by the implicit function theorem, for weights that have converged.

1. Train. If the weights have converged, ∇w L_train(w, λ) = 0, which defines w as a function of λ.
2. Solve H q = ∇L_val(w) with H the Hessian of the training loss.
3. dL_val/dλ = -∇λ(∇w L_train · q).

References: F. Pedregosa, "Hyperparameter optimization with approximate gradient", ICML 2016,
arXiv:1602.02355; J. Lorraine, P. Vicol, D. Duvenaud, "Optimizing Millions of Hyperparameters by
Implicit Differentiation", AISTATS 2020, arXiv:1911.02590.

*Departures*: all derivatives are those of one batch, the one after the last of the training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from optuna_nas.meta.hypergradients.base import Hypergradient, Training, descend
from optuna_nas.meta.hypergradients.solvers import ConjugateGradients, Product
from optuna_nas.meta.problem import Losses, Problem, Tensors


@dataclass(frozen=True)
class Implicit:
    """Train, and differentiate the minimum.

    There is no gradient in learning rates and momenta, on which a minimum does not depend.

    Args:
        solver: How the linear system is solved: `ConjugateGradients()`, `Neumann()`.
        damping: What is added to the diagonal of the Hessian.
        window: See :class:`HypergradientMethod`.
    """

    solver: Callable[[Product, Tensor], Tensor] = field(default_factory=ConjugateGradients)
    damping: float = 0.0
    window: int | None = None
    tunes_training: ClassVar[bool] = False

    def __call__(
        self,
        problem: Problem,
        weights: Tensors,
        hyper: Tensors,
        training: Training,
        *,
        velocity: Tensors | None = None,
        validation_batch: int = 0,
    ) -> Hypergradient:
        """Train, and compute the gradient; see :class:`HypergradientMethod`."""
        losses = Losses(problem, weights, hyper)
        end, last_velocity = descend(losses, training, velocity)
        batch = training.first_batch + training.steps
        value, gradient = losses.validation_gradient(end, batch=validation_batch)

        def product(direction: Tensor) -> Tensor:
            return losses.products(end, direction, batch)[1] + self.damping * direction

        solution = self.solver(product, gradient)
        _, _, mixed = losses.products(end, solution, batch)
        losses.check_used(training.steps)
        return Hypergradient(
            validation_loss=value,
            hyper={name: -product for name, product in mixed.items()},
            learning_rate=None,
            momentum=None,
            weights=losses.named(end),
            velocity=losses.named(last_velocity),
            bits_per_weight=0.0,
        )
