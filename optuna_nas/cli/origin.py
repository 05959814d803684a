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
            f"--start-from is {name!r}, the study itself; allowed is another one, so that this "
            "one needs another name: --study."
        )
    return stored_config(load_study(name, storage))


def best_architectures(
    study: optuna.Study, space: SearchSpace | None, most: int | None = None
) -> list[Architecture]:
    """What the feasible trials of a study suggested or derived, each once, best trial first.

    Args:
        study: The study. With several objectives, the trials of its Pareto front count.
        space: The space of the architectures; others are left out.
        most: How many to return at most; None for all.
    """
    from optuna_nas._ranking import ranked_trials
    from optuna_nas.trials.architectures import trial_architectures

    found: dict[str, Architecture] = {}
    for trial in ranked_trials(study.get_trials(deepcopy=False), study.directions):
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
    from optuna_nas._ranking import best_trials, why_no_best
    from optuna_nas.cli.studies import load_study

    other = load_study(origin, config.storage)
    trials = other.get_trials(deepcopy=False)
    if not best_trials(trials, other.directions):
        raise ValueError(
            f"--start-from is {origin!r}, which {why_no_best(trials, other.directions)}; allowed "
            "are studies with a best trial."
        )
    found = best_architectures(other, objective.space, most)
    if not found:
        raise ValueError(
            f"--start-from is {origin!r}, whose complete trials have no architecture of "
            f"{objective.space!r}; allowed are studies that have."
        )
    for architecture in found:
        study.enqueue_trial(architecture.params, skip_if_exists=True)
    return len(found)
