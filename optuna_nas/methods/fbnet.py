"""FBNet: Gumbel-softmax samples, with a loss that is multiplied by the logarithm of the latency.

1. In each step each edge has a Gumbel-softmax sample of its operations, at a temperature that
   falls exponentially.
2. The loss of the architecture is CE · α·(log LAT)^β, where LAT is the expected latency: the sum
   over operations of their weight times what a table says of them.
3. In the first ninth of the epochs only the network's weights are learnt.

Reference: B. Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search", CVPR 2019, arXiv:1812.03443.

*Departures*: multiply-accumulates are counted unless a table of latencies is given (in
microseconds, as published); the logarithm must be positive, so a cost of less than e counts as e.
The publication samples architectures from the learnt distribution and takes the best; here the
strongest operations are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive
from optuna_nas._options import option
from optuna_nas.methods.costs import ExpectedCost
from optuna_nas.methods.method import Method
from optuna_nas.methods.relaxation import AnnealedGumbel
from optuna_nas.methods.schedule import Schedule

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class LogCostPower(ExpectedCost):
    """The loss times α·(log cost)^β.

    Attributes:
        cost_factor: The factor α.
        cost_exponent: The exponent β.

    Raises:
        ValueError: A number is not positive.
    """

    cost_factor: float = option(
        0.2, "Factor of the logarithm's power.", tunable=True, check=checked_positive
    )
    cost_exponent: float = option(
        0.6, "Exponent of the cost's logarithm.", tunable=True, check=checked_positive
    )

    def paid(self, loss: torch.Tensor, cost: torch.Tensor, largest: float) -> torch.Tensor:
        """The loss times the power of the logarithm."""
        logarithm = cost.clamp_min(math.e).log()
        return loss * self.cost_factor * logarithm**self.cost_exponent


FBNET = Method(
    name="fbnet",
    summary="Gumbel-softmax samples, the loss multiplied by the logarithm of the cost",
    relaxation=AnnealedGumbel(temperature=5.0, final_temperature=0.087),  # 5·exp(-0.045·90)
    regulariser=LogCostPower(),
    schedule=Schedule(
        epochs=90,
        batch_size=192,
        learning_rate=0.1,
        weight_decay=1e-4,
        architecture_learning_rate=0.01,
        architecture_weight_decay=5e-4,
        warm_up_epochs=10,
    ),
    small={"epochs": 20, "batch_size": 32, "learning_rate": 0.025, "warm_up_epochs": 2},
)
