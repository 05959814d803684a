"""A pointwise convolution and its batch norm, of many stacked edges, in one pass.

The operations of an edge end with a 1x1 convolution, a batch norm without weights, and the factor
that the architecture gives the operation. All three are linear once the batch statistics are
known, and the statistics of the convolution's output follow from those of its input: where the
input has the mean `μ` and the covariance `Σ` over all pixels, the output channel with the weights
`p` has the mean `pμ` and the variance `pΣpᵀ`. So

1. one matrix product gives the covariance of the input, channels by channels;
2. weights, deviations and factor are multiplied into one small matrix;
3. one matrix product applies it.

Neither the convolution's output nor the normalised one is ever stored, and the gradient, derived
by hand, takes three such products. Results equal those of the separate layers up to rounding: the
covariance is accumulated in single precision at least, under autocast too, and about the mean
where a mean is large against its deviation.

Shapes: `R` rows, which are the pixels of all images; `E` edges; `I` input and `O` output channels
of an edge.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-5
"""What batch norm adds to a variance, as in torch."""

_MOMENTUM = 0.1
# The variance as the mean square less the squared mean loses a digit where the second is ten times
# the variance: above this many times, the mean is taken from the numbers first, in one more pass.
_LARGE_MEAN = 30.0
# Up to so many channels in all, products with a block-diagonal matrix, and of all rows with all
# others, take less time than one product for each edge.
_DENSE_PRODUCT = 64
_DENSE_GRADIENT = 32


class PointwiseNorm(nn.Module):
    """Stacked 1x1 convolutions, each followed by batch norm without weights.

    Args:
        edges: The number of edges E.
        channels: Input and output channels of each edge.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, edges: int, channels: int) -> None:
        super().__init__()
        bound = channels**-0.5  # as torch initialises convolutions
        weight = torch.empty(edges * channels, channels).uniform_(-bound, bound)
        self.matrices = split(weight, edges)
        self.register_buffer("running_mean", torch.zeros(edges, channels))
        self.register_buffer("running_var", torch.ones(edges, channels))
        self.track_running_stats = True

    @property
    def weight(self) -> torch.Tensor:
        """The weights of all edges, `E O I`."""
        return joined(self.matrices).view(len(self.matrices), -1, self.matrices[0].shape[1])

    def forward(self, x: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """Convolve, normalise, and scale.

        In training mode batch statistics are used, in evaluation mode the running ones.

        Args:
            x: `R E I`.
            scale: The factor of each edge, `E`; None for ones.

        Returns:
            `R E O`.

        Raises:
            ValueError: There is only one row to take statistics over.
        """
        with torch.autocast(x.device.type, enabled=False):
            return self._forward(*_single(x, torch.ones(x.shape[1]) if scale is None else scale))

    def _forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        scale = scale.to(x)
        if not self.training:
            return _apply(x, self.weight, scale, self.running_mean, self.running_var)
        rows = len(x)
        if rows < 2:
            raise ValueError(
                "The batch has one image and one pixel is left of it, but batch norm needs two "
                "values per channel. Use a larger `batch_size` or larger images."
            )
        out: torch.Tensor
        out, mean, variance = _PointwiseNorm.apply(x, self.weight, scale)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            with torch.no_grad():
                self.running_mean.lerp_(mean, _MOMENTUM)
                self.running_var.lerp_(variance * (rows / (rows - 1)), _MOMENTUM)
        return out

    def on_edge(self, x: torch.Tensor, edge: int) -> torch.Tensor:
        """Convolve and normalise one edge, in two layers; the statistics of the others stay.

        Args:
            x: `B I H W`.
            edge: The position of the edge.

        Returns:
            `B O H W`.
        """
        live = not self.training or self.track_running_stats
        return F.batch_norm(
            F.conv2d(x, self.matrices[edge][:, :, None, None]),
            self.running_mean[edge] if live else None,
            self.running_var[edge] if live else None,
            training=self.training,
            momentum=_MOMENTUM,
            eps=EPSILON,
        )


def split(weight: torch.Tensor, edges: int) -> nn.ParameterList:
    """One parameter for each edge, of a weight that is stacked along its first axis."""
    parts = weight.detach().chunk(edges)
    return nn.ParameterList(nn.Parameter(part.clone()) for part in parts)


def joined(parameters: nn.ParameterList) -> torch.Tensor:
    """The weights of all edges, stacked along the first axis."""
    return torch.cat(tuple(parameters)) if len(parameters) > 1 else parameters[0]


def _single(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """Tensors in single precision, if they are in half of it."""
    half = (torch.bfloat16, torch.float16)
    return [tensor.float() if tensor.dtype in half else tensor for tensor in tensors]


class _PointwiseNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shift, moments = _moments(x)
        mean, variance = _output_moments(weight, *moments)
        ctx.save_for_backward(x, shift, weight, scale, mean, variance, *moments)
        out = _apply(x if shift is None else x - shift, weight, scale, mean, variance)
        if shift is not None:
            mean = mean + (weight @ shift[:, :, None])[:, :, 0]
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(
        ctx: Any, grad: torch.Tensor, *_: Any
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        with torch.autocast(grad.device.type, enabled=False):
            return _gradients(ctx, grad)


def _gradients(
    ctx: Any, grad: torch.Tensor
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    x, shift, weight, scale, mean, variance, input_mean, covariance = ctx.saved_tensors
    x = x if shift is None else x - shift  # whose gradient is the same
    if torch.is_grad_enabled():  # the gradient itself will be differentiated
        return _differentiable_gradients(x, weight, scale, grad, ctx.needs_input_grad)
    # out = factor * (x @ weight.T - mean), where mean and factor depend on the moments of x.
    rows = len(x)
    deviation = (variance + EPSILON).rsqrt()  # E O
    factor = scale[:, None] * deviation
    grad_matrix = _stacked_gradient(grad, x)  # E O I, of factor * weight
    grad_sum = grad.sum(dim=0)  # E O
    grad_factor = (grad_matrix * weight).sum(dim=2) - mean * grad_sum
    grad_scale = (grad_factor * deviation).sum(dim=1)  # E
    grad_variance = -0.5 * grad_factor * factor * deviation**2
    grad_mean = -factor * grad_sum
    spread = grad_variance[:, :, None] * weight  # E O I
    grad_weight = factor[:, :, None] * grad_matrix + 2 * spread @ covariance
    grad_weight += grad_mean[:, :, None] * input_mean[:, None]
    if not ctx.needs_input_grad[0]:
        return None, grad_weight, grad_scale
    through_covariance = (2 / rows) * weight.transpose(1, 2) @ spread  # E I I
    constant = grad_mean[:, None] @ weight / rows - input_mean[:, None] @ through_covariance
    grad_x = _stacked_product(grad, factor[:, :, None] * weight, constant[:, 0])
    _add_stacked_product(grad_x, x, through_covariance)
    return grad_x, grad_weight, grad_scale


def _moments(
    x: torch.Tensor,
) -> tuple[torch.Tensor | None, tuple[torch.Tensor, torch.Tensor]]:
    """The moments over the rows of `R E I`, less a shift if there is one.

    Returns:
        The shift `E I`, or None; the mean `E I`, and the covariance `E I I`.
    """
    mean, covariance = _raw_moments(x)
    spread = covariance.diagonal(dim1=1, dim2=2)
    if not bool((mean.square() > _LARGE_MEAN * spread).any()):
        return None, (mean, covariance)
    shift = mean.detach()
    return shift, _raw_moments(x - shift)


def _raw_moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = x.mean(dim=0)
    return mean, _stacked_gradient(x, x) / len(x) - mean[:, :, None] * mean[:, None]


def _output_moments(
    weight: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the variance of the convolution's output, `E O` each."""
    variance = ((weight @ covariance) * weight).sum(dim=2)
    # Rounding can leave the variance of a constant channel a little below zero.
    return (weight @ mean[:, :, None])[:, :, 0], variance.clamp_min(0)


def _apply(
    x: torch.Tensor,
    weight: torch.Tensor,
    scale: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
) -> torch.Tensor:
    factor = scale[:, None] * (variance + EPSILON).rsqrt()  # E O
    return _stacked_product(x, (factor[:, :, None] * weight).transpose(1, 2), -factor * mean)


def _differentiable_gradients(
    x: torch.Tensor,
    weight: torch.Tensor,
    scale: torch.Tensor,
    grad: torch.Tensor,
    needed: tuple[bool, ...],
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    out = _apply(x, weight, scale, *_output_moments(weight, *_raw_moments(x)))
    leaves = [t for t, need in zip((x, weight, scale), needed, strict=True) if need]
    found = iter(torch.autograd.grad(out, leaves, grad, create_graph=True))
    grad_x, grad_weight, grad_scale = (next(found) if need else None for need in needed)
    return grad_x, grad_weight, grad_scale


def _stacked_product(x: torch.Tensor, matrices: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Multiply the rows of each edge with its matrix: `R E I`, `E I O` and `E O` to `R E O`."""
    rows, edges, _ = x.shape
    if _is_dense(matrices):
        dense = _block_diagonal(matrices)
        return torch.addmm(shift.reshape(-1), x.reshape(rows, -1), dense).view(rows, edges, -1)
    by_edge = x.transpose(0, 1)  # E R I
    if torch.is_grad_enabled():
        return (by_edge @ matrices).transpose(0, 1) + shift
    out = x.new_empty(rows, edges, matrices.shape[2])  # written as the next layer will read it
    torch.baddbmm(shift[:, None], by_edge, matrices, out=out.transpose(0, 1))
    return out


def _add_stacked_product(out: torch.Tensor, x: torch.Tensor, matrices: torch.Tensor) -> None:
    """Add the products of each edge's rows with its matrix, in place."""
    if _is_dense(matrices):
        rows = len(x)
        out.view(rows, -1).addmm_(x.reshape(rows, -1), _block_diagonal(matrices))
    else:
        out.transpose(0, 1).baddbmm_(x.transpose(0, 1), matrices)


def _stacked_gradient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Sum the outer products of all rows, edge by edge: `R E O`, `R E I` to `E O I`."""
    rows, edges, channels = a.shape
    if edges > 1 and edges * channels <= _DENSE_GRADIENT:
        dense = a.reshape(rows, -1).t() @ b.reshape(rows, -1)  # E*O E*I
        blocks = dense.view(edges, channels, edges, -1)
        return torch.diagonal(blocks, dim1=0, dim2=2).permute(2, 0, 1)
    return a.permute(1, 2, 0) @ b.transpose(0, 1)


def _block_diagonal(matrices: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = torch.block_diag(*matrices)  # type: ignore[no-untyped-call]
    return out


def _is_dense(matrices: torch.Tensor) -> bool:
    edges, channels, _ = matrices.shape
    return edges == 1 or edges * channels <= _DENSE_PRODUCT
