"""A differentiable problem of one's own: weights that are trained, and settings of the training.

A problem is any object with three methods. Its weights and its hyper-parameters are tensors by
name. A *batch* is a number: the same number must give the same loss, with the same images and the
same random numbers, since gradients are computed by going over the training again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from optuna_nas.trials.divergence import DivergedError

Tensors: TypeAlias = Mapping[str, Tensor]
"""Tensors by name, of floating point, on one device."""


class Problem(Protocol):
    """What is learnt, and what it is judged by."""

    def init(self, generator: torch.Generator) -> Tensors:
        """Draw initial weights, with all randomness from a generator on the CPU."""
        ...

    def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
        """The loss that the weights are to minimise, a tensor of one number."""
        ...

    def validation_loss(self, weights: Tensors, batch: int) -> Tensor:
        """The loss that the hyper-parameters are to minimise, a tensor of one number."""
        ...


class Losses:
    """The losses of a problem as functions of one vector of all weights, with their checks.

    Args:
        problem: The problem.
        weights: Weights, which fix names, shapes, type and device.
        hyper: The hyper-parameters.

    Attributes:
        start: The weights as a vector.
        hyper: The hyper-parameters, which require gradients.

    Raises:
        ValueError: Weights or hyper-parameters are no floating-point tensors, not finite, or not
            on one device.
    """

    def __init__(self, problem: Problem, weights: Tensors, hyper: Tensors) -> None:
        self._problem = problem
        self._shapes = {name: tensor.shape for name, tensor in _checked("init", weights).items()}
        if not weights:
            raise ValueError("`init` has returned no weights.")
        kinds = {(tensor.dtype, tensor.device) for tensor in weights.values()}
        if len(kinds) > 1:
            raise ValueError(
                "The weights that `init` returns are of several types or on several devices: "
                f"{sorted(map(str, kinds))}; allowed is one."
            )
        self.start = self.flat(weights).detach().clone()
        for name, tensor in _checked("hyper", hyper).items():
            if tensor.device != self.start.device:
                raise ValueError(
                    f"The hyper-parameter {name!r} is on {tensor.device}, the weights are on "
                    f"{self.start.device}; allowed is one device."
                )
        self.hyper = {name: h.detach().clone().requires_grad_() for name, h in hyper.items()}
        self._used = dict.fromkeys(hyper, False)

    def flat(self, tensors: Tensors) -> Tensor:
        """All numbers of tensors that are named as the weights are, as a vector."""
        return torch.cat([tensors[name].reshape(-1) for name in self._shapes])

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """The weights in a vector, by name: views of it."""
        parts = torch.split(vector, [shape.numel() for shape in self._shapes.values()])
        return {n: p.view(s) for (n, s), p in zip(self._shapes.items(), parts, strict=True)}

    def training(self, vector: Tensor, batch: int) -> Tensor:
        """The training loss.

        Raises:
            DivergedError: It is not finite.
            ValueError: It is no number, or on another device.
        """
        try:
            loss = self._problem.training_loss(self.named(vector), self.hyper, batch)
        except RuntimeError as error:
            raise RuntimeError(f"`training_loss` fails in step {batch}: {error}") from error
        return checked_loss("training_loss", loss, self.start.device, f"in step {batch}")

    def validation(self, vector: Tensor, batch: int) -> Tensor:
        """The validation loss; raises as :meth:`training` does."""
        try:
            loss = self._problem.validation_loss(self.named(vector), batch)
        except RuntimeError as error:
            raise RuntimeError(f"`validation_loss` fails on batch {batch}: {error}") from error
        return checked_loss("validation_loss", loss, self.start.device, f"on batch {batch}")

    def gradient(self, vector: Tensor, batch: int, *, create_graph: bool = False) -> Tensor:
        """The gradient of the training loss in the weights.

        Args:
            vector: The weights; with `create_graph` they must require gradients or have them.
            batch: The batch.
            create_graph: Whether it can be differentiated again.

        Raises:
            DivergedError: It is not finite.
            ValueError: The loss does not depend on the weights.
        """
        at = vector if create_graph else vector.detach().requires_grad_()
        loss = self.training(at, batch)
        found = (
            torch.autograd.grad(loss, at, create_graph=create_graph, allow_unused=True)[0]
            if loss.requires_grad
            else None
        )
        if found is None:
            raise ValueError("`training_loss` does not depend on the weights.")
        if not bool(found.isfinite().all()):
            raise DivergedError(f"the gradient of the training loss is not finite in step {batch}")
        return found

    def validation_gradient(self, vector: Tensor, batch: int) -> tuple[float, Tensor]:
        """The validation loss, and its gradient in the weights; zeros if there is none."""
        at = vector.detach().requires_grad_()
        loss = self.validation(at, batch)
        if not loss.requires_grad:
            return float(loss), torch.zeros_like(at)
        [gradient] = torch.autograd.grad(loss, [at], materialize_grads=True)
        return float(loss.detach()), gradient

    def products(
        self, vector: Tensor, direction: Tensor, batch: int
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Gradient of the training loss, and its derivatives times a direction of the weights.

        Returns:
            The gradient g in the weights; the Hessian times the direction; and, by name, the
            gradient of g·direction in the hyper-parameters.
        """
        at = vector.detach().requires_grad_()
        gradient = self.gradient(at, batch, create_graph=True)
        if not gradient.requires_grad:
            nothing = {name: torch.zeros_like(h) for name, h in self.hyper.items()}
            return gradient, torch.zeros_like(at), nothing
        curvature, *mixed = torch.autograd.grad(
            gradient, [at, *self.hyper.values()], direction, allow_unused=True
        )
        return (
            gradient.detach(),
            torch.zeros_like(at) if curvature is None else curvature,
            self.noted(mixed),
        )

    def noted(self, gradients: Sequence[Tensor | None]) -> dict[str, Tensor]:
        """Name gradients in the hyper-parameters; None is noted as one that had no effect."""
        named = {}
        for (name, h), gradient in zip(self.hyper.items(), gradients, strict=True):
            self._used[name] |= gradient is not None
            named[name] = torch.zeros_like(h) if gradient is None else gradient
        return named

    def check_used(self, steps: int) -> None:
        """Refuse hyper-parameters that had no effect in any of the steps so far.

        Raises:
            ValueError: There is one.
        """
        unused = sorted(name for name, used in self._used.items() if not used)
        if unused:
            raise ValueError(
                f"The gradient of `training_loss` in the weights does not depend on {unused} in "
                f"any of {steps} steps: there is nothing to learn about them."
            )


def checked_loss(name: str, loss: Tensor, device: torch.device, when: str) -> Tensor:
    """Return a loss as a tensor without dimensions, if it is one finite number on the device.

    Raises:
        DivergedError: It is not finite.
        ValueError: It is no number, or on another device.
    """
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"`{name}` has returned {shape} {when}; allowed is one number.")
    if loss.device != device:
        raise ValueError(
            f"`{name}` is on {loss.device} {when}, the weights are on {device}; allowed is one "
            "device."
        )
    value = float(loss.detach())
    if not math.isfinite(value):
        raise DivergedError(f"`{name}` is {value} {when}")
    return loss.reshape(())


def _checked(argument: str, tensors: Tensors) -> Tensors:
    if not isinstance(tensors, Mapping):
        raise ValueError(
            f"`{argument}` is a {type(tensors).__name__}; allowed are tensors by name."
        )
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(
                f"`{argument}` has {name!r} of {kind}; allowed are floating-point tensors."
            )
        if tensor.device.type != "meta" and not bool(tensor.isfinite().all()):
            raise ValueError(f"`{argument}` has {name!r} that is not finite.")
    return tensors
