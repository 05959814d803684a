"""Scale-adapted stochastic gradient Hamiltonian Monte Carlo: samples of a posterior by gradients.

With the potential `U`, minus the logarithm of the density, a step of size `e` with friction `f` is

    velocity += -e^2 m grad U - f velocity + sqrt(2 e^2 f m - e^4 b) xi,    parameters += velocity

with standard normal `xi`. The inverse mass `m = 1 / sqrt(E[(grad U)^2])` of each parameter is
learnt in the burn-in, with an averaging window that adapts itself, and kept afterwards. `b` is 1
if the gradient comes from a minibatch, whose own noise is a part of the diffusion, else 0.

Reference: J. T. Springenberg, A. Klein, S. Falkner, F. Hutter, *Bayesian Optimization with Robust
Bayesian Neural Networks*, NeurIPS 2016.

*Departures*: without minibatches nothing is subtracted from the diffusion.
"""

from __future__ import annotations

import numpy as np

_SMALLEST = 1e-16


class AdaptiveSGHMC:
    """Moves a vector of parameters, in place, so that it samples `exp(-U)`.

    Args:
        parameters: The parameters, a floating-point array.
        step_size: `e`.
        friction: `f`, from 0 to 1: the share of the velocity that a step loses.
    """

    def __init__(self, parameters: np.ndarray, step_size: float, friction: float) -> None:
        self._parameters = parameters
        self._step_size = step_size
        self._friction = friction
        self._velocity = np.zeros_like(parameters)
        self._window = np.ones_like(parameters)
        self._gradient = np.zeros_like(parameters)
        self._square = np.ones_like(parameters)

    def step(
        self, gradient: np.ndarray, rng: np.random.Generator, *, adapt: bool, minibatch: bool
    ) -> None:
        """Take one step.

        Args:
            gradient: The gradient of `U`, or an unbiased estimate of it.
            rng: The source of the noise.
            adapt: Whether the inverse masses are learnt (in the burn-in).
            minibatch: Whether the gradient is an estimate.
        """
        if adapt:
            rate = 1 / (self._window + 1)
            self._window += 1 - self._window * self._gradient**2 / self._square
            self._gradient += rate * (gradient - self._gradient)
            self._square += rate * (gradient**2 - self._square)
        mass = 1 / np.sqrt(self._square + _SMALLEST)
        squared_step = self._step_size**2
        diffusion = 2 * squared_step * self._friction * mass - minibatch * squared_step**2
        noise = rng.standard_normal(gradient.shape, dtype=np.float32)
        self._velocity *= 1 - self._friction
        self._velocity -= squared_step * mass * gradient
        self._velocity += np.sqrt(diffusion.clip(min=_SMALLEST)) * noise
        self._parameters += self._velocity
