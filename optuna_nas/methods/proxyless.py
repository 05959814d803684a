"""ProxylessNAS: paths that are trained one at a time, and compared two at a time.

1. In each step of the network's weights one operation of each edge is sampled, with its softmax
   probability, and only that is computed.
2. In each step of the architecture two operations of each edge are sampled without replacement,
   and one of the two is active. Both are computed; their parameters get the gradient that the
   softmax over the two passes on from binary gates, of which the active one is open. The two are
   then shifted so that the sum of their exponentials is what it was: the probabilities of the
   others stay.
3. The expected cost, over all operations, multiplies the loss: CE · (log E / log REF)^β.

In the variant of reinforcement learning (`proxyless_reinforce`) the architecture's parameters
climb the accuracy of sampled paths, times (REF / cost)^0.1, by REINFORCE.

Reference: H. Cai, L. Zhu, S. Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task
and Hardware", ICLR 2019, arXiv:1812.00332.

*Departures*: the cost is counted in multiply-accumulates unless a table of latencies is given, and
REF is a share of the largest cost.
The published code has a factor α = 0.2 before the power, which changes nothing but the size of the
gradient, and Adam divides by that. An architecture is derived as its space does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive
from optuna_nas._options import option
from optuna_nas.methods.costs import ExpectedCost, costs_option
from optuna_nas.methods.execution import SampledOperations
from optuna_nas.methods.method import Method
from optuna_nas.methods.reinforce import Reinforce
from optuna_nas.methods.relaxation import HardGumbel
from optuna_nas.methods.schedule import Schedule

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.engine import Batch, Engine
    from optuna_nas.supernets import Weights


@dataclass(frozen=True)
class TwoPaths:
    """The architecture's step by two paths of each edge."""

    def __call__(self, search: Engine, batch: Batch) -> None:
        """Move the two sampled parameters of each edge, and keep the sum of their exponentials."""
        import torch

        pairs = self.pairs(search)
        before = [_sum_of_exponentials(a, p) for a, p in zip(search.alphas, pairs, strict=True)]
        search.move(self.gradients(search, search.draw_held_out(), pairs))
        with torch.no_grad():
            for alpha, pair, total in zip(search.alphas, pairs, before, strict=True):
                shift = total - _sum_of_exponentials(alpha, pair)
                alpha.scatter_add_(1, pair, shift.expand_as(pair))

    def pairs(self, search: Engine) -> list[torch.Tensor]:
        """Two operations of each edge, the active one first: `edges 2` for each kind of cell."""
        import torch

        generator = torch.Generator().manual_seed(search.draw_noise())
        found = []
        for alpha in search.alphas:
            probabilities = alpha.detach().softmax(dim=1).cpu()
            pair = torch.multinomial(probabilities, 2, generator=generator)  # edges 2
            own = probabilities.gather(1, pair)
            active = torch.multinomial(own, 1, generator=generator)  # edges 1
            order = torch.cat([active, 1 - active], dim=1)
            found.append(pair.gather(1, order).to(alpha.device))
        return found

    def gradients(
        self, search: Engine, batch: Batch, pairs: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        """The gradient of each parameter of the architecture.

        Args:
            search: The search.
            batch: Held-out images and their labels.
            pairs: Two operations of each edge, the active one first.
        """
        import torch

        from optuna_nas.methods.bilevel import constant, gradients_of
        from optuna_nas.supernets import frozen_statistics

        gates, computed = {}, {}
        kinds = list(search.supernet.edges)
        for kind, alpha, pair in zip(kinds, search.alphas, pairs, strict=True):
            chances = alpha.gather(1, pair).softmax(dim=1)  # edges 2
            straight = torch.tensor([1.0, 0.0]).to(chances) + (chances - chances.detach())
            gates[kind] = torch.zeros_like(alpha).scatter(1, pair, straight)
            computed[kind] = torch.zeros_like(alpha).scatter_(1, pair, 1.0).bool()
        everywhere = {k: a.softmax(1) for k, a in zip(kinds, search.alphas, strict=True)}
        with frozen_statistics(search.supernet), constant(search.weights):
            loss = search.loss(batch, gates, computed)
            return gradients_of(search.regularised(loss, everywhere, 0), search.alphas)


def _sum_of_exponentials(alpha: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
    """The logarithm of the sum over the two, `edges 1`."""
    return alpha.detach().gather(1, pair).logsumexp(dim=1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class LogCostRatio(ExpectedCost):
    """The loss times (log cost / log reference)^β.

    Attributes:
        reference: The reference, as a share of the largest cost.
        ratio_exponent: The exponent β.

    Raises:
        ValueError: A number is not positive.
    """

    reference: float = option(
        0.5, "Share of the largest cost that is the reference.", check=checked_positive
    )
    ratio_exponent: float = option(
        0.6, "Exponent of the ratio of logarithms.", tunable=True, check=checked_positive
    )

    def paid(self, loss: torch.Tensor, cost: torch.Tensor, largest: float) -> torch.Tensor:
        """The loss times the power of the ratio; costs are logarithms of 1 and more."""
        logarithm = cost.clamp_min(math.e).log()
        base = math.log(max(self.reference * largest, math.e))
        return loss * (logarithm / base) ** self.ratio_exponent


@dataclass(frozen=True, kw_only=True)
class CostedReinforce(Reinforce):
    """Rewards that a cost multiplies: accuracy · (reference / cost)^ω.

    Attributes:
        costs: What is paid for (see `costs`).
        reference: The reference, as a share of the largest cost.
        reward_exponent: The exponent ω.

    Raises:
        ValueError: A number is not positive.
    """

    costs: str = costs_option()
    reference: float = option(
        0.5, "Share of the largest cost that is the reference.", check=checked_positive
    )
    reward_exponent: float = option(
        0.1, "Exponent of reference over cost.", tunable=True, check=checked_positive
    )

    def reward(self, search: Engine, weights: Weights) -> float:
        """The accuracy on a batch of held-out images, times the power of the ratio."""
        known = search.cost_of(self.costs)
        ratio = self.reference * known.largest / max(float(known(weights)), 1.0)
        return super().reward(search, weights) * float(ratio**self.reward_exponent)


PROXYLESS = Method(
    name="proxyless",
    summary="paths trained one at a time, and compared two at a time",
    relaxation=HardGumbel(),
    step=TwoPaths(),
    execution=SampledOperations(),
    regulariser=LogCostRatio(),
    schedule=Schedule(
        epochs=120,
        batch_size=256,
        nesterov=True,
        weight_decay=4e-5,
        architecture_learning_rate=1e-3,
        architecture_weight_decay=0.0,
        betas=(0.0, 0.999),
        warm_up_epochs=40,
        architecture_every=5,
    ),
    small={
        "epochs": 40,
        "batch_size": 32,
        "architecture_learning_rate": 1e-2,
        "warm_up_epochs": 8,
        "architecture_every": 1,
    },
)
PROXYLESS_REINFORCE = replace(
    PROXYLESS,
    name="proxyless_reinforce",
    summary="paths trained one at a time, and chosen by reinforcement learning",
    step=CostedReinforce(),
    regulariser=None,
)
