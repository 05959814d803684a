"""From free parameters to the weights of operations: the relaxations of a discrete choice.

A relaxation of one's own is any object with these two methods and a `repr` that says what it is.

References: softmax: H. Liu, K. Simonyan, Y. Yang, "DARTS", ICLR 2019, arXiv:1806.09055;
Gumbel-softmax: C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017,
arXiv:1611.00712, and E. Jang, S. Gu, B. Poole, ICLR 2017, arXiv:1611.01144.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from optuna_nas._checks import checked_positive


class Relaxation(Protocol):
    """How the parameters of a choice become the weights of the things to choose from."""

    def weights(
        self, logits: torch.Tensor, generator: torch.Generator, progress: float
    ) -> torch.Tensor:
        """The weights for one step of a search; gradients flow through them.

        Args:
            logits: The free parameters, `choices options`.
            generator: Where random numbers come from, on the CPU.
            progress: How much of the search is over, from 0 to 1.

        Returns:
            `choices options`.
        """

    def strengths(self, logits: torch.Tensor) -> torch.Tensor:
        """How strong each option is, without chance: to evaluate by and to choose by."""


@dataclass(frozen=True)
class Softmax:
    """The softmax of each row, as in DARTS."""

    def weights(
        self, logits: torch.Tensor, generator: torch.Generator, progress: float
    ) -> torch.Tensor:
        """The softmax of each row of `choices options`."""
        return logits.softmax(dim=-1)

    def strengths(self, logits: torch.Tensor) -> torch.Tensor:
        """The same: nothing is random."""
        return logits.softmax(dim=-1)


@dataclass(frozen=True)
class GumbelSoftmax:
    """A sample of the concrete distribution: the softmax of `(logits + Gumbel noise) / t`.

    At a low temperature t a sample is nearly one-hot, and each option is chosen with its softmax
    probability.

    Args:
        temperature: The temperature at the beginning.
        final_temperature: The temperature at the end, reached linearly; None for the first one.

    Raises:
        ValueError: A temperature is not positive.
    """

    temperature: float = 1.0
    final_temperature: float | None = None

    def __post_init__(self) -> None:
        checked_positive("temperature", self.temperature)
        if self.final_temperature is not None:
            checked_positive("final_temperature", self.final_temperature)

    def weights(
        self, logits: torch.Tensor, generator: torch.Generator, progress: float
    ) -> torch.Tensor:
        """One sample for each row of `choices options`."""
        final = self.temperature if self.final_temperature is None else self.final_temperature
        temperature = self.temperature + (final - self.temperature) * progress
        return ((logits + gumbel_noise(logits, generator)) / temperature).softmax(dim=-1)

    def strengths(self, logits: torch.Tensor) -> torch.Tensor:
        """The probability of each option."""
        return logits.softmax(dim=-1)


def gumbel_noise(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw Gumbel noise for logits, of their shape and on their device.

    Args:
        logits: What the noise is to be added to.
        generator: Where random numbers come from, on the CPU.
    """
    uniform = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    uniform = uniform.clamp_min(torch.finfo(torch.float64).tiny)
    return -torch.log(-torch.log(uniform)).to(logits)
