"""The weights of a finished trial: those it left, or those of the same training once more."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from optuna.trial import TrialState

from optuna_nas._accuracy import examples_of, standard_error
from optuna_nas.artifacts import ArtifactPlace
from optuna_nas.artifacts.temporary import temporary_folder
from optuna_nas.errors import UserError
from optuna_nas.trials import CorruptStateError, load_weights
from optuna_nas.trials.origins import origin

if TYPE_CHECKING:
    import torch
    from optuna.trial import BaseTrial, FrozenTrial
    from torch import nn

    from optuna_nas.spaces import Architecture, SearchSpace

__all__ = ["Trained", "TrainedObjective", "chosen_architecture", "load_trained", "trained"]

_LOGGED = (
    "validation_accuracy",
    "test_accuracy",
    "score",
    "validation_error",
    "test_score",
    "test_error",
    "full_accuracy",
    "validation_images",
    "validation_texts",
    "validation_rows",
    "test_images",
    "test_texts",
    "test_rows",
    "parameters",
    "flops",
    "latency",
    "seconds",
)
"""User attributes that are measurements, of whatever objective."""

_logger = optuna.logging.get_logger("optuna_nas")


class TrainedObjective(Protocol):
    """What is needed of an objective whose trials train a network."""

    artifacts: str | Path | ArtifactPlace | None

    @property
    def space(self) -> SearchSpace:
        """The search space."""

    @property
    def directions(self) -> Sequence[optuna.study.StudyDirection]:
        """One direction for each value."""

    @property
    def metric_names(self) -> Sequence[str]:
        """What the values are called."""

    def __call__(self, trial: BaseTrial) -> float | Sequence[float]:
        """Train and keep the weights in `artifacts`."""


@dataclass(frozen=True)
class Trained:
    """What a trial has learnt.

    Attributes:
        weights: The final state dict.
        metrics: What was measured, by name.
        about: Where it comes from: the study, the trial, and whether it was trained again.
    """

    weights: dict[str, torch.Tensor]
    metrics: dict[str, Any]
    about: dict[str, Any]


def chosen_architecture(objective: TrainedObjective, trial: FrozenTrial) -> Architecture:
    """The architecture of a trial.

    Raises:
        UserError: The trial's parameters are no architecture of the objective's space.
    """
    try:
        return objective.space.architecture(trial.params)
    except ValueError as error:
        raise UserError(f"Trial {trial.number} cannot be exported. {error}") from error


def trained(objective: TrainedObjective, study: optuna.Study, trial: FrozenTrial) -> Trained:
    """Find the weights that a trial left in the objective's folder, or train it again.

    Only the best trials' weights are kept. Another one is trained in the same way and with the
    same seed; the log says so.

    Raises:
        UserError: The training diverged.
    """
    weights, finished = _kept_weights(objective, study, trial), trial
    retrained = weights is None
    if weights is None:
        weights, finished = _train_again(objective, study, trial)
    values = dict(zip(objective.metric_names, finished.values or (), strict=False))
    attributes = {n: finished.user_attrs[n] for n in _LOGGED if n in finished.user_attrs}
    attributes["standard_errors"] = _standard_errors({**values, **attributes})
    about = {"study": study.study_name, "trial": trial.number, "trained_again": retrained}
    return Trained(weights, {**values, **attributes}, about)


def _standard_errors(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The standard error of each accuracy, by its name, where it is known."""
    return {
        name: standard_error(value, examples.number)
        for name, value in metrics.items()
        if "accuracy" in name
        and isinstance(value, (int, float))
        and 0 <= value <= 1
        and (examples := examples_of(metrics, "test" if "test" in name else "validation"))
    }


def load_trained(network: nn.Module, found: Trained) -> None:
    """Put weights into the network that the objective builds.

    Raises:
        UserError: They are of another network.
    """
    try:
        network.load_state_dict(found.weights)
    except RuntimeError as error:
        raise UserError(
            f"The weights of trial {found.about['trial']} do not fit the network that `objective` "
            f"builds; give it the settings of the search. {error}"
        ) from error


def _kept_weights(
    objective: TrainedObjective, study: optuna.Study, trial: FrozenTrial
) -> dict[str, torch.Tensor] | None:
    if objective.artifacts is None:
        _logger.info(f"The objective keeps no weights: trial {trial.number} is trained again.")
        return None
    try:
        return load_weights(objective.artifacts, study, trial.number)
    except (FileNotFoundError, CorruptStateError) as error:
        _logger.warning(f"{error} Trial {trial.number} is trained again.")
        return None


def _train_again(
    objective: TrainedObjective, study: optuna.Study, trial: FrozenTrial
) -> tuple[dict[str, torch.Tensor], FrozenTrial]:
    """Run the objective on the trial's parameters, in a study and a folder of its own."""
    with temporary_folder() as folder:
        private = copy.copy(objective)
        private.artifacts = folder
        alone = optuna.create_study(
            directions=list(objective.directions), pruner=optuna.pruners.NopPruner()
        )
        # A trial is seeded by its number, a retry by that of the trial it goes back to.
        before = optuna.create_trial(state=TrialState.FAIL)
        alone.add_trials([before] * origin(study, trial))
        alone.enqueue_trial(trial.params)
        again = alone.ask()
        try:
            alone.tell(again, private(again))
        except optuna.TrialPruned as error:
            raise UserError(f"Trial {trial.number} cannot be trained again. {error}") from error
        return load_weights(folder, alone, again.number), alone.trials[-1]
