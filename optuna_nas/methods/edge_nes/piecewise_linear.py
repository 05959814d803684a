"""A piecewise linear curve whose pivots are learnt: the hypernetwork of EdgeNES.

A curve on [0, Λ] with K pivots 0 = r_1 < ... < r_K = Λ and a vector a_k at each:

1. between two pivots it is (1 - s)·a_k + s·a_{k+1} with s = (x - r_k) / (r_{k+1} - r_k);
2. so it is a_k at r_k, exactly, and continuous;
3. before 0 and behind Λ it is constant.

The inner pivots are the shares of Λ that the cumulative sums of softplus(gap / 10) + 0.001 reach:
whatever the gaps, they stay in order and apart, and they are learnt ten times as slowly as the
vectors. The vectors start normally distributed, the pivots equally spaced.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.

*Departures*: equation 4 of the publication, and its code, have the two weights s and 1 - s the
wrong way round, which makes the curve jump at every pivot. There the pivots are free numbers,
which may change places, and are learnt at the rate of the vectors. At that rate they crowd at one
end before the vectors are learnt: by the penalty alone (400 steps of Adam at 0.1, ten seeds) the
mean absolute error of the number of shared edges was 0.26, and 0.16 with slow pivots.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas._checks import checked_integer, checked_positive

_PACE = 0.1  # of the pivots, against the vectors
_LEAST = 1e-3  # length of a piece, before they are scaled to Λ: a piece of none has no slope


class PiecewiseLinear(nn.Module):
    """A curve in a space of `size` dimensions.

    Args:
        length: Where the last pivot is, Λ; the first one is at zero.
        size: The number of dimensions.
        pivots: The number of pivots, both ends included; at least 2.
        generator: Where the initial vectors are drawn from.

    Attributes:
        length: Where the last pivot is.
        values: The vectors at the pivots, `pivots size`.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self, length: float, size: int, *, pivots: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.length = checked_positive("length", length)
        count = checked_integer("pivots", pivots, 2)
        size = checked_integer("size", size)
        self.gaps = nn.Parameter(torch.zeros(count - 1))
        self.values = nn.Parameter(torch.randn(count, size, generator=generator))

    @property
    def pivots(self) -> torch.Tensor:
        """Where the pivots are, in ascending order: `pivots`."""
        reached = (F.softplus(_PACE * self.gaps) + _LEAST).cumsum(dim=0)
        inner = self.length * reached[:-1] / reached[-1]
        return torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), self.length)])

    def forward(self, position: torch.Tensor | float) -> torch.Tensor:
        """The curve at one position: `size`."""
        pivots = self.pivots
        x = torch.as_tensor(position, dtype=pivots.dtype, device=pivots.device)
        x = x.clamp(0.0, self.length)
        k = int(torch.searchsorted(pivots.detach(), x, right=True)) - 1
        k = min(k, len(pivots) - 2)  # the last pivot ends the last piece
        share = (x - pivots[k]) / (pivots[k + 1] - pivots[k])
        return torch.lerp(self.values[k], self.values[k + 1], share)
