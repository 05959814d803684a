"""How long a supernet is trained, in which steps, and at which rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.methods.options import option

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The steps of the weights and of the architecture: those of DARTS unless told otherwise.

    The weights are learnt by SGD, at a rate that falls along a cosine, epoch by epoch; the
    architecture by Adam.

    Attributes:
        epochs: Passes over the images for the weights.
        batch_size: Images of a step.
        learning_rate: Learning rate of the weights in the first epoch.
        final_learning_rate: What it falls to; at most `learning_rate`.
        momentum: Momentum of the weights.
        nesterov: Whether it is Nesterov's.
        weight_decay: Weight decay of the weights.
        gradient_clip: Largest norm of the weights' gradient; infinite for none.
        architecture_learning_rate: Learning rate of the architecture.
        architecture_weight_decay: Its weight decay.
        betas: Those of Adam.
        warm_up_epochs: Epochs in which only the weights are learnt.
        architecture_every: Batches for each step of the architecture.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int = option(50, "Passes over the training data.", minimum=1)
    batch_size: int = option(64, "Examples of a step.", minimum=2)
    learning_rate: float = option(0.025, "First learning rate of the weights.", tunable=True)
    final_learning_rate: float = option(0.001, "What it falls to along a cosine.")
    momentum: float = option(0.9, "Momentum of the weights.")
    nesterov: bool = False
    weight_decay: float = option(3e-4, "L2 penalty.", tunable=True)
    gradient_clip: float = option(5.0, "Largest norm of the weights' gradient.")
    architecture_learning_rate: float = option(
        3e-4, "Learning rate of the architecture.", tunable=True
    )
    architecture_weight_decay: float = option(
        1e-3, "Weight decay of the architecture.", tunable=True
    )
    betas: tuple[float, float] = (0.5, 0.999)
    warm_up_epochs: int = option(0, "Epochs in which only the weights are learnt.", minimum=0)
    architecture_every: int = option(1, "Batches for each step of the architecture.", minimum=1)

    def __post_init__(self) -> None:
        checked_integer("epochs", self.epochs)
        checked_integer("batch_size", self.batch_size, 2)  # batch norm needs two
        checked_positive("learning_rate", self.learning_rate)
        checked_positive("final_learning_rate", self.final_learning_rate)
        checked_share("momentum", self.momentum)
        checked_share("weight_decay", self.weight_decay)
        checked_positive("gradient_clip", self.gradient_clip, infinite=True)
        checked_positive("architecture_learning_rate", self.architecture_learning_rate)
        checked_share("architecture_weight_decay", self.architecture_weight_decay)
        checked_integer("warm_up_epochs", self.warm_up_epochs, 0)
        checked_integer("architecture_every", self.architecture_every)
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
