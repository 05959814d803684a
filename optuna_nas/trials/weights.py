"""The final weights of the best trials, kept by many workers without a lock.

The study remembers whose weights are there and how good these trials are. Whoever finishes a trial
writes its weights if it is among the best `keep`, and deletes those that no longer are. The best
one has no better, so no worker ever deletes it. Two workers that finish at once may leave one file
too many; the next one removes it. Those that an unfinished trial inherits from stay until it ends.

Which trial is better, :mod:`optuna_nas._ranking` says. While none is feasible, those that violate
their constraints least are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import TrialState

from optuna_nas import _optuna
from optuna_nas._attributes import as_number
from optuna_nas._proposals import parent_of
from optuna_nas._ranking import Standing, ranking
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.storages.retries import retry_history
from optuna_nas.trials.origins import RUN_ATTR
from optuna_nas.trials.states import CorruptStateError, read_state, write_state

__all__ = ["keep_weights", "kept_trials", "load_weights"]

_KEPT_ATTR = "optuna_nas:weights:"


def keep_weights(
    place: ArtifactPlace,
    trial: optuna.Trial,
    values: Sequence[float],
    weights: Mapping[str, torch.Tensor],
    *,
    keep: int,
) -> bool:
    """Write a finished trial's weights if it is among the best, and delete those that are not.

    Args:
        place: Where the search keeps its files.
        trial: The trial.
        values: Its final values, one per direction of the study.
        weights: Its state dict.
        keep: How many trials' weights stay.

    Returns:
        Whether the weights were kept.

    Raises:
        ValueError: If there are not as many values as directions.
        OSError: If the file cannot be written.
    """
    study, frozen = trial.study, trial.storage.get_trial(_optuna.trial_id(trial))
    for number in retry_history(frozen):  # killed after it kept the same weights
        _forget(place, study, number)
    standing = Standing.of(frozen, values, study.directions)
    ranked = ranking({**_kept(study), trial.number: standing})
    kept = trial.number in ranked[:keep]
    if kept:
        header = {
            "kind": "weights",
            "study": study.study_name,
            "run": frozen.system_attrs[RUN_ATTR],
            "trial": trial.number,
            "losses": list(standing.losses),
        }
        write_state(place.weights(study.study_name, trial.number), weights, header)
        _remember(study, trial.number, standing)
    for number in set(ranked[keep:]) - {trial.number} - _of_parents(study, trial.number):
        _forget(place, study, number)
    return kept


def kept_trials(study: optuna.Study) -> list[int]:
    """Return the numbers of the trials whose weights are kept."""
    return sorted(_kept(study))


def load_weights(
    artifacts: str | Path | ArtifactPlace, study: optuna.Study, number: int
) -> dict[str, torch.Tensor]:
    """Read the final weights of a trial.

    Args:
        artifacts: Where the search keeps its files.
        study: The study.
        number: The trial's number, e.g. `study.best_trial.number`.

    Returns:
        The state dict, on the CPU.

    Raises:
        FileNotFoundError: If no weights of this trial were kept; the message lists what there is.
        CorruptStateError: If the file is damaged or belongs to an older study of the same name.
    """
    place = open_artifacts(artifacts)
    holder = _holder(study, number)
    file = place.weights(study.study_name, holder)
    try:
        state, header = read_state(file)
    except FileNotFoundError:
        there = kept_trials(study)
        raise FileNotFoundError(
            f"No weights of trial {number} of {study.study_name!r} in {place.address}: there are "
            + (f"those of the trials {there}." if there else "none.")
        ) from None
    if header.get("trial") != holder or not _is_current(header, study):
        raise CorruptStateError(f"{file} is not from this study, but from one of the same name.")
    return state


def _holder(study: optuna.Study, number: int) -> int:
    """The trial whose weights these are: itself, or the one whose training it only told."""
    trials, kept = study.get_trials(deepcopy=False), _kept(study)
    before = retry_history(trials[number]) if number < len(trials) else []
    return next((n for n in (number, *reversed(before)) if n in kept), number)


def _of_parents(study: optuna.Study, ending: int) -> set[int]:
    """Whose weights are those of parents of unfinished trials, other than the one that ends."""
    unfinished = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
    parents = {parent_of(trial) for trial in unfinished if trial.number != ending}
    return {_holder(study, parent) for parent in parents if parent is not None}


def _kept(study: optuna.Study) -> dict[int, Standing]:
    """How good the trials are whose weights are kept, by number."""
    attributes = _optuna.storage(study).get_study_system_attrs(_optuna.study_id(study))
    kept = {}
    for name, stored in attributes.items():
        number = name.removeprefix(_KEPT_ATTR)
        if number != name and number.isdecimal():
            standing = _read(stored, len(study.directions))
            if standing is not None:
                kept[int(number)] = standing
    return kept


def _read(stored: object, objectives: int) -> Standing | None:
    """Read what :func:`_remember` wrote; an earlier version left out the violation."""
    numbers = [as_number(n) for n in stored] if isinstance(stored, list) else []
    found = tuple(float(n) for n in numbers if n is not None and not math.isnan(n))
    if len(found) != len(numbers) or len(numbers) not in (objectives, objectives + 1):
        return None
    return Standing(found[:objectives], *found[objectives:])


def _remember(study: optuna.Study, number: int, standing: Standing | None) -> None:
    """Say how good the trial is whose weights are kept, None if they no longer are."""
    stored = None if standing is None else [*standing.losses, standing.violation]
    storage = _optuna.storage(study)
    storage.set_study_system_attr(_optuna.study_id(study), f"{_KEPT_ATTR}{number}", stored)


def _forget(place: ArtifactPlace, study: optuna.Study, number: int) -> None:
    if number in _kept(study):
        place.weights(study.study_name, number).remove()
        _remember(study, number, None)


def _is_current(header: Mapping[str, Any], study: optuna.Study) -> bool:
    """Whether a file belongs to this study, rather than to an older one of the same name."""
    if (header.get("kind"), header.get("study")) != ("weights", study.study_name):
        return False
    storage, number = _optuna.storage(study), header["trial"]
    try:
        trial_id = storage.get_trial_id_from_study_id_trial_number(_optuna.study_id(study), number)
    except KeyError:
        return False
    return bool(storage.get_trial_system_attrs(trial_id).get(RUN_ATTR) == header["run"])
