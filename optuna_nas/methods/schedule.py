"""How long a supernet is trained, in which steps, and at which rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_clip, checked_positive, checked_share
from optuna_nas._numerics import deterministic_option, precision_option
from optuna_nas._options import check_options, documented, option

if TYPE_CHECKING:
    import torch


@documented
@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The steps of the weights and of the architecture: those of DARTS unless told otherwise.

    The weights are learnt by SGD, at a rate that falls along a cosine, epoch by epoch; the
    architecture by Adam.

    Attributes:
        nesterov: Whether the momentum of the weights is Nesterov's.
        betas: Those of Adam.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int = option(50, "Passes over the training data.", minimum=1)
    batch_size: int = option(64, "Examples of a step.", minimum=2)  # batch norm needs two
    learning_rate: float = option(
        0.025, "First learning rate of the weights.", check=checked_positive, tunable=True
    )
    final_learning_rate: float = option(
        0.001, "What it falls to along a cosine.", check=checked_positive
    )
    momentum: float = option(0.9, "Momentum of the weights.", check=checked_share)
    nesterov: bool = False
    weight_decay: float = option(3e-4, "L2 penalty.", check=checked_share, tunable=True)
    gradient_clip: float = option(
        5.0, "Largest norm of the weights' gradient; inf for none.", check=checked_clip
    )
    architecture_learning_rate: float = option(
        3e-4, "Learning rate of the architecture.", check=checked_positive, tunable=True
    )
    architecture_weight_decay: float = option(
        1e-3, "Weight decay of the architecture.", check=checked_share, tunable=True
    )
    betas: tuple[float, float] = (0.5, 0.999)
    warm_up_epochs: int = option(0, "Epochs in which only the weights are learnt.", minimum=0)
    architecture_every: int = option(1, "Batches for each step of the architecture.", minimum=1)

    precision: str = precision_option()
    deterministic: bool = deterministic_option()

    def __post_init__(self) -> None:
        check_options(self)
        if self.learning_rate < self.final_learning_rate:  # the schedule falls
            raise ValueError(
                f"`learning_rate` is {self.learning_rate!r}; allowed is `final_learning_rate` "
                f"({self.final_learning_rate}) or more."
            )

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate of the weights in an epoch, counted from 0."""
        low, high = self.final_learning_rate, self.learning_rate
        progress = min(epoch / self.epochs, 1.0)
        return low + (high - low) * (1 + math.cos(math.pi * progress)) / 2

    def weight_optimizer(self, weights: Sequence[torch.Tensor]) -> torch.optim.SGD:
        """The optimiser of the weights."""
        import torch

        return torch.optim.SGD(
            weights,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            foreach=True,
        )

    def architecture_optimizer(self, alphas: Sequence[torch.Tensor]) -> torch.optim.Adam:
        """The optimiser of the architecture."""
        import torch

        return torch.optim.Adam(
            alphas,
            lr=self.architecture_learning_rate,
            betas=self.betas,
            weight_decay=self.architecture_weight_decay,
        )
