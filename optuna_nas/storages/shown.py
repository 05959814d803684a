"""Constraints for optuna-dashboard, which reads them where Optuna stored them before version 5.

Up to version 0.21 the dashboard takes a trial's constraints from the one system attribute
`constraints`, a list. `trial.set_constraint` has a system attribute for each. Without the list
all trials look feasible, and the best one may be one that violates a constraint.

1. The trials that the dashboard reads get the list. Nothing is written to the storage.
2. The best trial is the best of those that violate their constraints the least.
"""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import TypeVar

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._ranking import Standing, constraints_of

__all__ = ["show_constraints"]

S = TypeVar("S", bound=BaseStorage)

_READ_BY_DASHBOARD = "constraints"


def show_constraints(storage: S) -> S:
    """Let a storage give its trials with their constraints where optuna-dashboard finds them.

    Args:
        storage: The storage; it is changed, so open one for the dashboard alone.

    Returns:
        The same storage.
    """
    read = storage.get_all_trials

    def get_all_trials(
        study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [_with_list(trial) for trial in read(study_id, deepcopy, states)]

    def get_best_trial(study_id: int) -> FrozenTrial:
        complete = read(study_id, False, (TrialState.COMPLETE,))
        if not complete:
            raise ValueError("No trial is complete yet.")
        directions = storage.get_study_directions(study_id)
        best = min(
            complete, key=lambda t: (Standing.of(t, t.values or (), directions).order, t.number)
        )
        return _with_list(best)

    storage.get_all_trials = get_all_trials  # type: ignore[method-assign]
    storage.get_best_trial = get_best_trial  # type: ignore[method-assign]
    return storage


def _with_list(trial: FrozenTrial) -> FrozenTrial:
    """The trial, or a copy with the list if it has constraints."""
    values = list(constraints_of(trial).values())
    if not values:
        return trial
    shown = copy.copy(trial)
    shown.system_attrs = {**trial.system_attrs, _READ_BY_DASHBOARD: values}
    return shown
