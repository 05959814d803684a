"""What an interrupted trial leaves behind is gone on with: queued again, or told.

1. A trial whose training was finished, but whose worker ended before it could tell the storage,
   has its outcome in a system attribute (:func:`remember_outcome`). Nothing is left to train: its
   successor is complete, or pruned, at once.
2. Any other one is queued again with its parameters and attributes, as
   :class:`optuna.storages.RetryHeartbeatStaleTrialCallback` does it, once.
3. A training that its worker died of again and again is given up. Polite interruptions (Ctrl-C, a
   scheduler's SIGTERM, the end of a search) say nothing against it and do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_nas import _optuna
from optuna_nas._attributes import as_number, read_count, read_list, read_mapping, read_text
from optuna_nas.storages.workers import WORKER_ATTR

__all__ = [
    "INTERRUPTED",
    "MAX_RETRY",
    "ORIGIN_ATTR",
    "REASON_ATTR",
    "Outcome",
    "RetryInterrupted",
    "check_told",
    "is_begun",
    "known_outcome",
    "queued_again",
    "remember_outcome",
    "requeue",
    "retry_history",
    "state_name",
]

MAX_RETRY = 3
INTERRUPTED = "interrupted"

REASON_ATTR = "stopped_because"
OUTCOME_ATTR = "optuna_nas:outcome"
POLITE_ATTR = "optuna_nas:polite_interruptions"

# What Optuna's callback writes, and what its functions of a retried trial read.
ORIGIN_ATTR = "failed_trial"
_HISTORY = "retry_history"


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        state: COMPLETE or PRUNED.
        values: The final values; for a pruned one the last that it reported, if any.
    """

    state: TrialState
    values: tuple[float, ...] | None


def remember_outcome(trial: optuna.Trial, values: Sequence[float] | None) -> None:
    """Store how a training ended, for the case that nobody lives to tell.

    Args:
        trial: The trial, still RUNNING.
        values: Its final values; None if it was pruned. Those that are no number are not stored:
            Optuna counts such a trial as failed.
    """
    if values is not None and not all(map(_is_number, values)):
        return
    outcome = {"trial": trial.number, "values": None if values is None else list(values)}
    trial.storage.set_trial_system_attr(_optuna.trial_id(trial), OUTCOME_ATTR, outcome)


def known_outcome(study: optuna.Study, trial: FrozenTrial) -> Outcome | None:
    """The outcome of a trial that was not told, or None if its training was not finished."""
    stored = read_mapping(trial.system_attrs, OUTCOME_ATTR)
    if stored.get("trial") != trial.number:
        return None
    values = stored.get("values")
    if values is None:
        last = None if trial.last_step is None else trial.intermediate_values[trial.last_step]
        return Outcome(
            TrialState.PRUNED, (last,) if last is not None and _is_number(last) else None
        )
    if not isinstance(values, list) or len(values) != len(study.directions):
        return None
    if not all(map(_is_number, values)):
        return None
    return Outcome(TrialState.COMPLETE, tuple(map(float, values)))


def check_told(study: optuna.Study) -> None:
    """Compare the final values of trials with those that they stored before they told them.

    Both are numbers in a database, where a damaged bit goes unnoticed: it is hardly in both.

    Raises:
        ValueError: A trial has two.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        outcome = known_outcome(study, trial)
        if outcome is None or outcome.values is None:
            continue
        if not all(map(_is_same, trial.values or (), outcome.values)):
            raise ValueError(
                f"The storage is damaged: the trial {trial.number} of {study.study_name!r} has "
                f"the values {trial.values} and has stored {list(outcome.values)}. Take a "
                "copy of the storage from before."
            )


def retry_history(trial: FrozenTrial) -> list[int]:
    """The numbers of the trials that this one goes on with, the first one first."""
    return read_list(trial.system_attrs, _HISTORY, int)


def queued_again(trials: Sequence[FrozenTrial]) -> set[int]:
    """The numbers of the trials that another one goes on with."""
    return {number for trial in trials for number in retry_history(trial)}


def state_name(trial: FrozenTrial, *, continued: bool) -> str:
    """The state of a trial as it is shown: Optuna's FAIL also means that it was interrupted.

    Args:
        trial: The trial.
        continued: Whether another trial goes on with it.
    """
    name = trial.state.name.lower()
    if trial.state != TrialState.FAIL:
        return name
    claimed = read_mapping(trial.system_attrs, WORKER_ATTR).get("trial") == trial.number
    lost = claimed and (_deaths(trial) >= MAX_RETRY or not is_begun(trial))
    has_reason = read_text(trial.user_attrs, REASON_ATTR) is not None
    return INTERRUPTED if continued or (lost and not has_reason) else name


def is_begun(trial: FrozenTrial) -> bool:
    """Whether anything is known of a trial; else a new one is as good."""
    return bool(
        trial.params
        or trial.user_attrs
        or trial.intermediate_values
        or "fixed_params" in trial.system_attrs
    )


def requeue(
    study: optuna.Study, trial: FrozenTrial, max_retry: int | None = None, *, polite: bool = False
) -> bool:
    """Let another trial go on with an interrupted one, unless one does already.

    Args:
        study: The study.
        trial: The interrupted trial.
        max_retry: How many deaths of its worker a training survives; None for any number.
        polite: Whether it was only asked to stop.

    Returns:
        Whether it goes on: False if its workers died too often.
    """
    storage = _optuna.storage(study)
    trials = storage.get_all_trials(_optuna.study_id(study), deepcopy=False)
    if trial.number in queued_again(trials):
        return True
    outcome = known_outcome(study, trial)
    deaths = _deaths(trial) + (not polite)
    if outcome is None and max_retry is not None and deaths > max_retry:
        return False
    attributes: dict[str, Any] = {
        ORIGIN_ATTR: trial.number,
        **trial.system_attrs,
        _HISTORY: [*retry_history(trial), trial.number],
        POLITE_ATTR: _polite_ones(trial) + polite,
    }
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING if outcome is None else outcome.state,
            values=None if outcome is None else outcome.values,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=trial.user_attrs,
            system_attrs=attributes,
            intermediate_values=None if outcome is None else trial.intermediate_values,
        )
    )
    return True


class RetryInterrupted:
    """What a storage does with a trial whose worker's heartbeat has stopped.

    Args:
        max_retry: How many deaths of its worker a training survives.
    """

    def __init__(self, max_retry: int) -> None:
        self._max_retry = max_retry

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Let another trial go on with this one."""
        requeue(study, trial, self._max_retry)


def _deaths(trial: FrozenTrial) -> int:
    """How often a worker died of the training before this trial."""
    return len(retry_history(trial)) - _polite_ones(trial)


def _polite_ones(trial: FrozenTrial) -> int:
    return read_count(trial.system_attrs, POLITE_ATTR) or 0


def _is_number(value: object) -> bool:
    number = as_number(value)
    return number is not None and not math.isnan(number)


def _is_same(told: float, stored: float) -> bool:
    """Databases may keep one digit less."""
    return math.isclose(told, stored, rel_tol=1e-9, abs_tol=1e-12)
