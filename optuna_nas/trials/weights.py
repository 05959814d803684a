"""The final weights of the best trials, kept by many workers without a lock.

The study remembers whose weights are there and how good these trials are. Whoever finishes a trial
writes its weights if it is among the best `keep`, and deletes those that no longer are. The best
one has no better, so no worker ever deletes it. Two workers that finish at once may leave one file
too many; the next one removes it.

A trial's rank is the number of kept trials that are better: for one objective by a better value,
for several at least as good in all and better in one. Equal ranks go by trial number. A NaN and an
infeasible trial rank last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.trials.states import CorruptStateError, read_state, write_state

__all__ = ["keep_weights", "kept_trials", "load_weights"]

RUN_ATTR = "optuna_nas:run"
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
    study, frozen = trial.study, trial.storage.get_trial(trial._trial_id)
    losses = _trial_losses(values, study.directions, frozen)
    ranking = _ranking({**_kept_losses(study), trial.number: losses})
    kept = trial.number in ranking[:keep]
    if kept:
        header = {
            "kind": "weights",
            "study": study.study_name,
            "run": frozen.system_attrs[RUN_ATTR],
            "trial": trial.number,
            "losses": losses,
        }
        write_state(place.weights(study.study_name, trial.number), weights, header)
        _remember(study, trial.number, losses)
    for number in ranking[keep:]:
        if number != trial.number:
            place.weights(study.study_name, number).remove()
            _remember(study, number, None)
    return kept


def kept_trials(study: optuna.Study) -> list[int]:
    """Return the numbers of the trials whose weights are kept."""
    return sorted(_kept_losses(study))


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
    file = place.weights(study.study_name, number)
    try:
        state, header = read_state(file)
    except FileNotFoundError:
        there = kept_trials(study)
        raise FileNotFoundError(
            f"No weights of trial {number} of {study.study_name!r} in {place.address}: there are "
            + (f"those of the trials {there}." if there else "none.")
        ) from None
    if not _is_current(header, study):
        raise CorruptStateError(f"{file} is not from this study, but from one of the same name.")
    return state


def _trial_losses(
    values: Sequence[float], directions: Sequence[StudyDirection], trial: FrozenTrial
) -> list[float]:
    """Turn a trial's values so that lower is better, and worst if it is infeasible."""
    if len(values) != len(directions):
        raise ValueError(f"{values=}: one number for each of the directions {directions}.")
    if any(constraint > 0 for constraint in trial.constraints.values()):
        return [math.inf] * len(values)
    losses = [
        float(value) if direction == StudyDirection.MINIMIZE else -float(value)
        for value, direction in zip(values, directions, strict=True)
    ]
    return [math.inf if math.isnan(loss) else loss for loss in losses]


def _kept_losses(study: optuna.Study) -> dict[int, list[float]]:
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return {
        int(name.removeprefix(_KEPT_ATTR)): losses
        for name, losses in attributes.items()
        if name.startswith(_KEPT_ATTR) and losses is not None
    }


def _remember(study: optuna.Study, number: int, losses: list[float] | None) -> None:
    """Say how good the trial is whose weights are kept, None if they no longer are."""
    study._storage.set_study_system_attr(study._study_id, f"{_KEPT_ATTR}{number}", losses)


def _is_current(header: Mapping[str, Any], study: optuna.Study) -> bool:
    """Whether a file belongs to this study, rather than to an older one of the same name."""
    if (header.get("kind"), header.get("study")) != ("weights", study.study_name):
        return False
    storage, number = study._storage, header["trial"]
    try:
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    except KeyError:
        return False
    return bool(storage.get_trial_system_attrs(trial_id).get(RUN_ATTR) == header["run"])


def _ranking(losses: Mapping[int, Sequence[float]]) -> list[int]:
    """Order trial numbers from best to worst."""

    def rank(number: int) -> tuple[int, int]:
        own = losses[number]
        better = sum(
            all(a <= b for a, b in zip(other, own, strict=True)) and list(other) != list(own)
            for other in losses.values()
        )
        return better, number

    return sorted(losses, key=rank)
