"""The dominant eigenvalue of a Hessian, from products of it with vectors.

Lanczos' method with full reorthogonalisation: in exact arithmetic it gives the largest eigenvalue
after as many steps as the Hessian has rows, and, as that one stands apart, close to it after a
few.

Reference: C. Lanczos, "An iteration method for the solution of the eigenvalue problem of linear
differential and integral operators", J. Res. Natl. Bur. Stand. 45, 1950.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_NOTHING_LEFT = 1e-6  # of the largest number so far: the vectors of float32 losses are no better


def hessian_product(loss: Tensor, parameters: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """The product of the Hessian of a loss with a vector, as a function.

    Args:
        loss: The loss, with its graph.
        parameters: What it is differentiated by, `n` numbers in all.

    Returns:
        A function from `n` numbers to `n`, in double precision on the CPU.
    """
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    flat = torch.cat([g.flatten() for g in gradients])

    def product(vector: Tensor) -> Tensor:
        if not flat.requires_grad:  # the loss is linear
            return torch.zeros_like(vector)
        found = torch.autograd.grad(
            flat, parameters, vector.to(flat), retain_graph=True, materialize_grads=True
        )
        return torch.cat([part.flatten() for part in found]).cpu().double()

    return product


def dominant_eigenvalue(
    product: Callable[[Tensor], Tensor], size: int, *, steps: int, generator: torch.Generator
) -> float:
    """The largest eigenvalue of a symmetric matrix, the most positive one.

    Args:
        product: Multiplies the matrix with a vector of `size` numbers in double precision.
        size: Rows of the matrix.
        steps: Products that are computed at most; with `size` of them it is exact.
        generator: Where the first vector is drawn from, on the CPU.
    """
    vector = torch.randn(size, generator=generator, dtype=torch.float64)
    basis = vector[None] / vector.norm()  # vectors size
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        image = product(basis[-1])
        diagonal.append(basis[-1] @ image)
        for _ in range(2):  # the second time takes what rounding left
            image = image - basis.T @ (basis @ image)
        norm = image.norm()
        largest = torch.stack([*diagonal, *beside]).abs().max()
        if len(basis) == min(steps, size) or bool(norm <= _NOTHING_LEFT * largest):
            break
        beside.append(norm)
        basis = torch.cat([basis, image[None] / norm])
    matrix = torch.diag(torch.stack(diagonal))
    for row, value in enumerate(beside):
        matrix[row, row + 1] = matrix[row + 1, row] = value
    return float(torch.linalg.eigvalsh(matrix)[-1])
