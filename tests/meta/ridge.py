"""Ridge regression: a problem whose hypergradients have closed forms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from optuna_nas.meta import Tensors


@dataclass(frozen=True)
class Ridge:
    """Linear regression with a penalty exp(λ)/2 ‖w‖², in double precision."""

    x: Tensor
    y: Tensor
    x_validation: Tensor
    y_validation: Tensor
    curved: float = 0.0

    @classmethod
    def random(cls, size: int = 5, examples: int = 12, seed: int = 0) -> Ridge:
        generator = torch.Generator().manual_seed(seed)
        true = torch.randn(size, generator=generator, dtype=torch.float64)
        x, xv = torch.randn(2, examples, size, generator=generator, dtype=torch.float64)
        noise = torch.randn(2, examples, generator=generator, dtype=torch.float64)
        return cls(x, x @ true + noise[0], xv, xv @ true + noise[1])

    def bent(self) -> Ridge:
        """The same with a loss that is not quadratic."""
        return replace(self, curved=0.3)

    def single(self) -> Ridge:
        """The same in single precision."""
        return replace(
            self,
            x=self.x.float(),
            y=self.y.float(),
            x_validation=self.x_validation.float(),
            y_validation=self.y_validation.float(),
        )

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        size = self.x.shape[1]
        start = 0.3 * torch.randn(size, generator=generator, dtype=self.x.dtype)
        return {"a": start[:2].clone(), "b": start[2:].reshape(-1, 1).clone()}

    def vector(self, weights: Tensors) -> Tensor:
        return torch.cat([weights["a"], weights["b"][:, 0]])

    def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
        w = self.vector(weights)
        errors = self.x @ w - self.y
        loss = errors.square().mean() / 2 + self.curved * torch.sin(3 * w + batch).sum()
        return loss + (hyper["log_decay"].exp() * w.square()).sum() / 2

    def validation_loss(self, weights: Tensors, batch: int) -> Tensor:
        errors = self.x_validation @ self.vector(weights) - self.y_validation
        return errors.square().mean() / 2

    def hessian(self, log_decay: float) -> Tensor:
        n, size = self.x.shape
        penalty = torch.eye(size, dtype=torch.float64) * torch.tensor(log_decay).double().exp()
        return self.x.T @ self.x / n + penalty

    def optimum(self, log_decay: float) -> Tensor:
        found: Tensor = torch.linalg.solve(
            self.hessian(log_decay), self.x.T @ self.y / len(self.y)
        )
        return found

    def implicit(self, log_decay: float) -> float:
        """The derivative of the validation loss of the optimum."""
        w = self.optimum(log_decay)
        errors = self.x_validation @ w - self.y_validation
        gradient = self.x_validation.T @ errors / len(errors)
        solution = torch.linalg.solve(self.hessian(log_decay), gradient)
        return float(-(solution @ w) * torch.tensor(log_decay).double().exp())


def decay(value: float = -1.0, size: int | None = None) -> dict[str, Tensor]:
    shape = () if size is None else (size,)
    return {"log_decay": torch.full(shape, value, dtype=torch.float64)}
