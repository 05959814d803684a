"""Robust DARTS: DARTS that stops when the loss becomes sharp, and goes back.

1. After every second epoch the dominant eigenvalue of the Hessian of the architecture's loss, on a
   batch of held-out images, is computed, with the weight decay of the architecture on the
   diagonal.
2. Eigenvalues are averaged over windows of five records. If an average is more than 1.3 times that
   of four records before, the search stops, and the architecture is that of the epoch in the
   middle of the earlier window. It can go back to epoch 10 at the earliest.
3. The adaptive variant does not stop: it goes back to that epoch, weights included, and goes on
   with a weight decay of the weights three times as large, until that would be above 0.0243.

Reference: A. Zela et al., "Understanding and Robustifying Differentiable Architecture Search",
ICLR 2020, arXiv:1909.09656.

*Departures*: the eigenvalue is found by 16 steps of Lanczos' method, where all of the Hessian is
computed in the published code. In the adaptive variant the epochs that were lost count: a search
has as many as it was told, and its learning rate falls as told. Averages that are not positive are
never compared. The drop-path of the publication is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive
from optuna_nas._options import check_options, option
from optuna_nas.methods.darts import DARTS

if TYPE_CHECKING:
    from optuna_nas.methods.engine import Engine

RECORD = "dominant eigenvalue"
"""The name of the eigenvalues among the records of a search."""

_WINDOW = 5
_LOOK_BACK = 4
_LANCZOS_STEPS = 16
_RESTARTED = "restarted"


@dataclass(frozen=True)
class SharpLoss:
    """Stop when the dominant eigenvalue grows.

    Attributes:
        eigenvalue_every: Epochs from one eigenvalue to the next.
        stop_factor: Growth of the average over four records at which the search stops.
        earliest: The first epoch that it may go back to.

    Raises:
        ValueError: A number is out of range.
    """

    eigenvalue_every: int = option(2, "Epochs from one eigenvalue to the next.", minimum=1)
    stop_factor: float = option(
        1.3, "Growth of the eigenvalue at which it stops.", tunable=True, check=checked_positive
    )
    earliest: int = option(10, "The first epoch that it goes back to.", minimum=0)

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, search: Engine) -> int | None:
        """How many epochs to keep, or None to go on."""
        if search.epochs % self.eigenvalue_every:
            return None
        search.record(RECORD, eigenvalue(search))
        return self.back(search.records[RECORD])

    def back(self, eigenvalues: Mapping[int, float]) -> int | None:
        """The epoch to go back to, given the eigenvalues by epoch; None to go on."""
        epochs, values = list(eigenvalues), list(eigenvalues.values())
        first = math.ceil(_WINDOW / 2)  # records before there is an average
        averages = []
        for count in range(first, len(values) + 1):
            window = values[max(count - _WINDOW, 0) : count]
            averages.append(sum(window) / len(window))
        if len(averages) <= _LOOK_BACK:
            return None
        middle = epochs[-1] - self.eigenvalue_every * (_WINDOW // 2 + _LOOK_BACK)
        before = averages[-1 - _LOOK_BACK]
        if middle < self.earliest or before <= 0 or averages[-1] / before <= self.stop_factor:
            return None
        return middle


@dataclass(frozen=True)
class AdaptiveDecay(SharpLoss):
    """Go back, and go on with a larger weight decay, when the dominant eigenvalue grows.

    Attributes:
        largest_weight_decay: The weight decay that it does not go beyond.

    Raises:
        ValueError: A number is out of range.
    """

    largest_weight_decay: float = option(
        0.0243, "The weight decay that it does not go beyond.", check=checked_positive
    )

    def __call__(self, search: Engine) -> int | None:
        """Go back if the eigenvalue has grown; how many epochs to keep in the end."""
        if search.epochs % self.eigenvalue_every:
            return None
        search.record(RECORD, eigenvalue(search))
        search.keep(last=_WINDOW // 2 + _LOOK_BACK + 1)
        since = search.memory.get(_RESTARTED, 0)
        back = self.back({e: v for e, v in search.records[RECORD].items() if e > since})
        [group] = search.weight_optimizer.param_groups
        decay = 3 * group["weight_decay"]
        if back is None:
            return None
        if decay > self.largest_weight_decay:
            return back
        search.go_back(back)
        [group] = search.weight_optimizer.param_groups
        group["weight_decay"] = decay
        search.memory[_RESTARTED] = search.epochs
        return None


def eigenvalue(search: Engine) -> float:
    """The dominant eigenvalue of the Hessian of the architecture's loss, on a held-out batch."""
    import torch

    from optuna_nas.methods.bilevel import constant
    from optuna_nas.methods.curvature import dominant_eigenvalue, hessian_product
    from optuna_nas.supernets import frozen_statistics

    batch, noise = search.draw_held_out(), search.draw_noise()
    with frozen_statistics(search.supernet), constant(search.weights):
        product = hessian_product(search.architecture_loss(batch, noise), search.alphas)
        found = dominant_eigenvalue(
            product,
            sum(alpha.numel() for alpha in search.alphas),
            steps=_LANCZOS_STEPS,
            generator=torch.Generator().manual_seed(noise),
        )
    return found + search.method.schedule.architecture_weight_decay


_SMALL = {**DARTS.small, "eigenvalue_every": 1, "earliest": 3}

ROBUST_DARTS = replace(
    DARTS,
    name="robust_darts",
    summary="DARTS that stops and goes back when the loss becomes sharp",
    stopping=SharpLoss(),
    small=_SMALL,
)
ROBUST_DARTS_ADAPTIVE = replace(
    DARTS,
    name="robust_darts_adaptive",
    summary="DARTS that goes back and decays weights more when the loss becomes sharp",
    stopping=AdaptiveDecay(),
    small=_SMALL,
)
