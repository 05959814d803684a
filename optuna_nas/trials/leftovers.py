"""Files of a study that nobody needs any more, because who would have removed them was killed.

1. A checkpoint is needed until its training has ended: told, or given up. One whose trial failed
   by an error of its own stays, for whoever wants to know why.
2. Weights are needed if the study says that they are kept.
3. Half a file, under a temporary name, is needed while its trial is running.

Trials that began after the study was read, on this machine or another one, are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._attributes import read_count
from optuna_nas.artifacts import ArtifactPlace
from optuna_nas.artifacts.names import folder_name
from optuna_nas.storages.retries import INTERRUPTED, ORIGIN_ATTR, queued_again, state_name
from optuna_nas.trials.weights import kept_trials

__all__ = ["sweep"]

_FILE = re.compile(
    r"(?P<half>\.)?trial-(?P<number>\d{1,15})(\.[\w-]+)?\.safetensors(?(half)\.\w+\.tmp)"
)
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def sweep(study: optuna.Study, place: ArtifactPlace) -> None:
    """Remove what killed workers left of trainings that have ended.

    Args:
        study: The study.
        place: Where it keeps its files; in a bucket, which cannot be listed, nothing is done.
    """
    trials = study.get_trials(deepcopy=False)
    kept = set(kept_trials(study))
    running = {trial.number for trial in trials if trial.state == TrialState.RUNNING}
    under_way = {_origin(trial) for trial in trials if not _has_ended(trial, trials)}
    busy = {_origin(trials[number]) for number in running}
    folder = folder_name(study.study_name)
    _remove(place, f"checkpoints/{folder}", len(trials), whole=under_way, half=busy)
    _remove(place, f"weights/{folder}", len(trials), whole=kept | running, half=running)
    place.sweep()


def _remove(
    place: ArtifactPlace, folder: str, count: int, *, whole: Iterable[int], half: Iterable[int]
) -> None:
    """Remove files of trials of a number below `count`, except those that are needed."""
    for name in place.names(folder):
        found = _FILE.fullmatch(name)
        if found is None:
            continue
        number = int(found["number"])
        if number < count and number not in (half if found["half"] else whole):
            place.file(f"{folder}/{name}").remove()


def _has_ended(trial: FrozenTrial, trials: list[FrozenTrial]) -> bool:
    """Whether nobody will train on from a trial's checkpoint, or look at it."""
    if trial.state in _ENDED or trial.number in queued_again(trials):
        return True
    return state_name(trial, continued=False) == INTERRUPTED


def _origin(trial: FrozenTrial) -> int:
    origin = read_count(trial.system_attrs, ORIGIN_ATTR)
    return trial.number if origin is None else origin
