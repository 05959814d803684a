"""1x1 convolutions with a stride, without oneDNN's kernel for them.

On CPUs with AVX2 and without AVX-512, oneDNN's gradient of the weights of a strided 1x1
convolution writes outside of its memory (docs/upstream_faults.md). Of the pixels that such a
convolution reads, a copy is made first; what it computes is the same.
"""

from __future__ import annotations

import torch
from torch import nn


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution without padding, computed on every `stride`-th pixel.

    Parameters, state dict and results are those of `torch.nn.Conv2d`.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B C H W` to `B channels H/stride W/stride`."""
        rows, columns = self.stride
        pixels = x[..., ::rows, ::columns]
        return torch.conv2d(pixels, self.weight, self.bias, groups=self.groups)


def without_strided_kernels(network: nn.Module) -> None:
    """Let each strided 1x1 convolution of a network, also of a user's own, be computed so.

    Args:
        network: Any module; it is changed in place.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_strided_pointwise(module):
            module.__class__ = StridedPointwise  # its parameters and hooks stay as they are


def _is_strided_pointwise(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (1, 1) and conv.stride != (1, 1) and conv.padding in ((0, 0), "valid")
    )
