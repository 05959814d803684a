"""The final weights of the best trials, kept by many workers without a lock.

Each file records its own trial's values. Whoever finishes a trial writes its file, looks at all
files of the study, and deletes those that are not among the best `keep`. Ranks come from the files
alone, and the best one has no better, so no worker ever deletes it. Two workers that finish at
once may leave one file too many; the next one removes it.

A file's rank is the number of files that are better: for one objective a better value, for several
at least as good in all and better in one. Equal ranks go by trial number. A NaN and an infeasible
trial rank last.
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

from optuna_nas.trials.folder import ArtifactFolder
from optuna_nas.trials.states import CorruptStateError, read_header, read_state, write_state

__all__ = ["keep_weights", "load_weights"]

RUN_ATTR = "optuna_nas:run"

_logger = optuna.logging.get_logger("optuna_nas")


def keep_weights(
    folder: ArtifactFolder,
    trial: optuna.Trial,
    values: Sequence[float],
    weights: Mapping[str, torch.Tensor],
    *,
    keep: int,
) -> bool:
    """Write a finished trial's weights if it is among the best, and delete those that are not.

    Args:
        folder: The search's folder.
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
    own = folder.weights(study.study_name, trial.number)
    ranking = _ranking({**_kept_losses(own, study), trial.number: losses})
    kept = trial.number in ranking[:keep]
    if kept:
        header = {
            "kind": "weights",
            "study": study.study_name,
            "run": frozen.system_attrs[RUN_ATTR],
            "trial": trial.number,
            "losses": losses,
        }
        write_state(own, weights, header)
    for number in ranking[keep:]:
        folder.weights(study.study_name, number).unlink(missing_ok=True)
    return kept


def load_weights(
    folder: ArtifactFolder | str | Path, study: optuna.Study, number: int
) -> dict[str, torch.Tensor]:
    """Read the final weights of a trial.

    Args:
        folder: The search's folder.
        study: The study.
        number: The trial's number, e.g. `study.best_trial.number`.

    Returns:
        The state dict, on the CPU.

    Raises:
        FileNotFoundError: If no weights of this trial were kept; the message lists what there is.
        CorruptStateError: If the file is damaged or belongs to an older study of the same name.
    """
    folder = folder if isinstance(folder, ArtifactFolder) else ArtifactFolder(Path(folder))
    path = folder.weights(study.study_name, number)
    try:
        state, header = read_state(path)
    except FileNotFoundError:
        there = sorted(_kept_losses(path, study))
        raise FileNotFoundError(
            f"No weights of trial {number} of {study.study_name!r} in {path.parent}: there are "
            + (f"those of the trials {there}." if there else "none.")
        ) from None
    if not _is_current(header, study):
        raise CorruptStateError(f"{path} is not from this study, but from one of the same name.")
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


def _kept_losses(path: Path, study: optuna.Study) -> dict[int, list[float]]:
    """Read the kept trials' losses from the files beside `path`; foreign files are left alone."""
    found = {}
    for file in path.parent.glob("trial-*.safetensors"):
        try:
            header = read_header(file)
            if _is_current(header, study):
                found[int(header["trial"])] = [float(loss) for loss in header["losses"]]
        except FileNotFoundError:
            continue  # another worker deleted it just now
        except (LookupError, TypeError, ValueError) as error:
            _logger.warning(f"Weights that cannot be read are ignored. {error}")
    return found


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
