"""FairDARTS: operations that do not compete, pushed towards zero or one.

1. The weight of an operation is the sigmoid of its parameter: one that grows takes nothing from
   the others, so that skip connections have no unfair advantage.
2. The zero-one loss, minus the mean of (weight - 1/2)², times 10, is added to the loss of the
   architecture.
3. In the end an edge keeps its strongest operation, if its weight is above a threshold of 0.85;
   where the space has `none`, it is empty otherwise.

Reference: X. Chu, T. Zhou, B. Zhang, J. Li, "Fair DARTS: Eliminating Unfair Advantages in
Differentiable Architecture Search", ECCV 2020, arXiv:1911.12126.

*Departures*: as published an edge keeps every operation above the threshold, and a node two edges
at most; a space here has as many edges and operations as it has, so its own rule chooses by the
same numbers. `none` has no part in the publication, and its own weight none in the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive, checked_share
from optuna_nas._options import check_options, option
from optuna_nas.methods.method import Method
from optuna_nas.methods.relaxation import Sigmoid
from optuna_nas.methods.schedule import Schedule

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.engine import Engine
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Weights


@dataclass(frozen=True)
class ZeroOneLoss:
    """The loss plus a multiple of how far weights are from zero and one.

    Attributes:
        zero_one_weight: The multiple.

    Raises:
        ValueError: It is not positive.
    """

    zero_one_weight: float = option(
        10.0, "Weight of the zero-one loss.", check=checked_positive, tunable=True
    )

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(
        self,
        loss: torch.Tensor,
        weights: Weights,
        search: Engine,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """The loss to minimise."""
        return loss + self.zero_one_weight * zero_one_loss(weights)


def zero_one_loss(weights: Weights) -> torch.Tensor:
    """Minus the mean of (weight - 1/2)²: from -1/4, where all are zero or one, to 0."""
    import torch

    return -(torch.cat([w.flatten() for w in weights.values()]) - 0.5).square().mean()


@dataclass(frozen=True)
class AboveThreshold:
    """By the strengths, where an operation is above a threshold.

    Attributes:
        threshold: The weight that an operation needs.

    Raises:
        ValueError: It is not from 0 to below 1.
    """

    threshold: float = option(
        0.85, "Weight that an operation needs, where edges may be empty.", check=checked_share
    )

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, search: Engine) -> Architecture:
        """Derive it from the strengths that count, with the threshold as that of `none`."""
        from optuna_nas.spaces.folding import ZERO

        supernet = search.supernet
        strengths = {kind: w.clone() for kind, w in search.strengths().items()}
        if ZERO in supernet.operations:
            for weights in strengths.values():
                weights[:, supernet.operations.index(ZERO)] = self.threshold
        return supernet.derive(strengths)


FAIR_DARTS = Method(
    name="fair_darts",
    summary="sigmoids that do not compete, with the zero-one loss",
    relaxation=Sigmoid(),
    regulariser=ZeroOneLoss(),
    selection=AboveThreshold(),
    schedule=Schedule(
        batch_size=128,
        learning_rate=0.005,
        final_learning_rate=0.001,
        architecture_learning_rate=3e-3,
    ),
    small={"epochs": 20, "batch_size": 32, "learning_rate": 0.025, "threshold": 0.5},
)
