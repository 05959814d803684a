"""A search that starts from another: what its best trials found is trained first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.config import SearchConfig
    from optuna_nas.cli.objectives.recipe import Objective
    from optuna_nas.spaces import Architecture, SearchSpace

__all__ = ["best_architectures", "load_origin", "queue_architectures"]


def load_origin(name: str | None, study: str, storage: str) -> SearchConfig | None:
    """The settings of the study that a search starts from; None if it starts from none.

    Raises:
        ValueError: There is no such study, or it is the one that is searched.
    """
    from optuna_nas.cli.studies import load_study, stored_config

    if name is None:
        return None
    if name == study:
        raise ValueError(
            f"`start-from` is {name!r}, the study itself; allowed is another one, so that this "
            "one needs another name: --study."
        )
    return stored_config(load_study(name, storage))


def best_architectures(
    study: optuna.Study, space: SearchSpace | None, most: int | None = None
) -> list[Architecture]:
    """What the best trials of a study suggested or derived, each once, the best trial first.

    Args:
        study: The study. With several objectives, the trials of its Pareto front count.
        space: The space of the architectures; others are left out.
        most: How many to return at most; None for all.
    """
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    from optuna_nas.trials.architectures import trial_architectures

    if len(study.directions) > 1:
        trials = study.best_trials
    else:
        sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        trials = sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))
    found: dict[str, Architecture] = {}
    for trial in trials:
        for architecture in trial_architectures(trial, space):
            found.setdefault(architecture.key, architecture)
    return list(found.values())[:most]


def queue_architectures(
    study: optuna.Study, config: SearchConfig, origin: str, objective: Objective, most: int
) -> int:
    """Queue what another study of the storage found, as far as it is not in this one yet.

    Returns:
        How many architectures the other study has, at most `most`.

    Raises:
        ValueError: The other study has none of the objective's space.
    """
    from optuna_nas.cli.studies import load_study

    found = best_architectures(load_study(origin, config.storage), objective.space, most)
    if not found:
        raise ValueError(
            f"`start-from` is {origin!r}, whose complete trials have no architecture of "
            f"{objective.space!r}; allowed are studies that have."
        )
    for architecture in found:
        study.enqueue_trial(architecture.params, skip_if_exists=True)
    return len(found)
