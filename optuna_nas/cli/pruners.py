"""The pruners by name, fitted to how many values a whole trial reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

__all__ = ["PRUNERS"]


def _median(steps: int) -> BasePruner:
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=5, n_warmup_steps=max(steps // 4, 1))


def _percentile(steps: int) -> BasePruner:
    from optuna.pruners import PercentilePruner

    # Accuracies jump while the learning rate is high: look late, seldom, and for the worst only.
    return PercentilePruner(
        75.0,
        n_startup_trials=5,
        n_warmup_steps=max(steps // 3, 1),
        interval_steps=max(steps // 6, 1),
    )


def _halving(steps: int) -> BasePruner:
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=max(steps // 4, 1), reduction_factor=2)


def _hyperband(steps: int) -> BasePruner:
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(min_resource=max(steps // 9, 1), max_resource=steps, reduction_factor=3)


def _no_pruner(steps: int) -> BasePruner:
    from optuna.pruners import NopPruner

    return NopPruner()


PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "halving": _halving,
    "hyperband": _hyperband,
    "median": _median,
    "none": _no_pruner,
    "percentile": _percentile,
}
