"""Hypergradients by autograd through the steps: the reference, and greedy descent.

1. Train, and keep the graph of every step.
2. Differentiate the validation loss of the last weights through all of it.

With a window of one step this is greedy: it looks one step ahead, along a training that goes on,
and takes the weights and velocities before as constants,

    dL_val(w')/dλ = -α(1 - γ) ∇λ(∇w L_train(w, λ) · ∇L_val(w')),

which for γ = 0 is the second-order gradient of DARTS with ξ = α.

References: J. Domke, "Generic Methods for Optimization-Based Modeling", AISTATS 2012, algorithm 2;
J. Luketina, M. Berglund, K. Greff, T. Raiko, "Scalable Gradient-Based Tuning of Continuous
Regularization Hyperparameters", ICML 2016, arXiv:1511.06727, for one step.

*Departures*: when greedy, learning rate and momentum have gradients as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from optuna_nas.meta.hypergradients.base import Hypergradient, Training, start_velocity
from optuna_nas.meta.problem import Losses, Problem, Tensors


@dataclass(frozen=True)
class Unrolling:
    """Differentiate through all steps; memory grows with their number.

    Args:
        window: See :class:`HypergradientMethod`; 1 is greedy.
    """

    window: int | None = None
    tunes_training: ClassVar[bool] = True

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
        w, v = losses.start.requires_grad_(), start_velocity(losses, velocity)
        rates = training.rates.to(w).requires_grad_()
        momenta = training.momenta.to(w).requires_grad_()
        for step, (batch, _, _) in enumerate(training):
            g = losses.gradient(w, batch, create_graph=True)
            v = momenta[step] * v - (1 - momenta[step]) * g
            w = w + rates[step] * v
        loss = losses.validation(w, validation_batch)
        found: list[torch.Tensor | None] = [None] * (2 + len(losses.hyper))
        if loss.requires_grad:
            inputs = [rates, momenta, *losses.hyper.values()]
            found = list(torch.autograd.grad(loss, inputs, allow_unused=True))
        by_name = losses.noted(found[2:])
        losses.check_used(training.steps)
        at_rates, at_momenta = found[:2]
        return Hypergradient(
            validation_loss=float(loss.detach()),
            hyper=by_name,
            learning_rate=torch.zeros_like(rates) if at_rates is None else at_rates,
            momentum=torch.zeros_like(momenta) if at_momenta is None else at_momenta,
            weights=losses.named(w.detach()),
            velocity=losses.named(v.detach()),
            bits_per_weight=16.0 * w.element_size() * training.steps,
        )
