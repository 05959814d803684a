"""From free parameters to the weights of operations: the relaxations of a discrete choice.

A relaxation of one's own is any object with these two methods and a `repr` that says what it is.

References: softmax: H. Liu, K. Simonyan, Y. Yang, "DARTS", ICLR 2019, arXiv:1806.09055;
Gumbel-softmax: C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017,
arXiv:1611.00712, and E. Jang, S. Gu, B. Poole, ICLR 2017, arXiv:1611.01144.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from optuna_nas._checks import checked_positive
from optuna_nas._options import check_options, option

if TYPE_CHECKING:
    import torch


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

    temperature: float = option(
        1.0, "Temperature of the samples in the beginning.", check=checked_positive, tunable=True
    )
    final_temperature: float | None = option(
        None,
        "What it falls or rises to linearly.",
        kind=float,
        check=checked_positive,
        tunable=True,
    )

    def __post_init__(self) -> None:
        check_options(self)

    def weights(
        self, logits: torch.Tensor, generator: torch.Generator, progress: float
    ) -> torch.Tensor:
        """One sample for each row of `choices options`."""
        noisy = logits + gumbel_noise(logits, generator)
        return (noisy / self.temperature_at(progress)).softmax(dim=-1)

    def temperature_at(self, progress: float) -> float:
        """The temperature after this share of the training, from 0 to 1."""
        final = self.temperature if self.final_temperature is None else self.final_temperature
        return self.temperature + (final - self.temperature) * progress

    def strengths(self, logits: torch.Tensor) -> torch.Tensor:
        """The probability of each option."""
        return logits.softmax(dim=-1)


@dataclass(frozen=True)
class AnnealedGumbel(GumbelSoftmax):
    """A sample of the concrete distribution, at a temperature that falls exponentially."""

    def temperature_at(self, progress: float) -> float:
        """The temperature after this share of the training, from 0 to 1."""
        final = self.temperature if self.final_temperature is None else self.final_temperature
        return float(self.temperature * (final / self.temperature) ** progress)


@dataclass(frozen=True)
class HardGumbel(GumbelSoftmax):
    """A sample of one option, with the gradient of the concrete distribution: straight through.

    The weights are one-hot, at the option with the largest of `logits + Gumbel noise`; their
    gradient is that of the softmax of the same at the temperature t.

    Reference: X. Dong, Y. Yang, "Searching for a Robust Neural Architecture in Four GPU Hours",
    CVPR 2019, arXiv:1910.04465.
    """

    def weights(
        self, logits: torch.Tensor, generator: torch.Generator, progress: float
    ) -> torch.Tensor:
        """One one-hot sample for each row of `choices options`."""
        soft = super().weights(logits, generator, progress)
        hard = soft.detach().new_zeros(soft.shape)
        hard.scatter_(-1, soft.detach().argmax(dim=-1, keepdim=True), 1.0)
        return hard + (soft - soft.detach())  # exactly 0 or 1


@dataclass(frozen=True)
class Sigmoid:
    """The sigmoid of each parameter: options do not compete.

    Reference: X. Chu et al., "Fair DARTS", ECCV 2020, arXiv:1911.12126.
    """

    def weights(
        self, logits: torch.Tensor, generator: torch.Generator, progress: float
    ) -> torch.Tensor:
        """The sigmoid of `choices options`."""
        return logits.sigmoid()

    def strengths(self, logits: torch.Tensor) -> torch.Tensor:
        """The same: nothing is random."""
        return logits.sigmoid()


def gumbel_noise(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw Gumbel noise for logits, of their shape and on their device.

    Args:
        logits: What the noise is to be added to.
        generator: Where random numbers come from, on the CPU.
    """
    import torch

    uniform = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    uniform = uniform.clamp_min(torch.finfo(torch.float64).tiny)
    return -torch.log(-torch.log(uniform)).to(logits)
