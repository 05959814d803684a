"""Export the network of a trial, from the weights it left or trained again."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import optuna
from optuna.trial import TrialState

from optuna_nas.export.folder import check_folder
from optuna_nas.export.model import FILES, export_model
from optuna_nas.trials import CorruptStateError, load_weights

if TYPE_CHECKING:
    import torch
    from optuna.trial import BaseTrial, FrozenTrial
    from torch import nn

    from optuna_nas.data import ImageData
    from optuna_nas.spaces import Architecture, SearchSpace

__all__ = ["ImageObjective", "export_trial"]

_LOGGED = ("test_accuracy", "parameters", "flops", "seconds")

_logger = optuna.logging.get_logger("optuna_nas")


class ImageObjective(Protocol):
    """What is needed of an objective such as :class:`optuna_nas.objectives.CellCNN`."""

    artifacts: str | Path | None

    @property
    def space(self) -> SearchSpace:
        """The search space."""

    @property
    def data(self) -> ImageData:
        """The images."""

    @property
    def directions(self) -> Sequence[optuna.study.StudyDirection]:
        """One direction for each value."""

    @property
    def metric_names(self) -> Sequence[str]:
        """What the values are called."""

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network of an architecture, on the CPU."""

    def __call__(self, trial: BaseTrial) -> float | Sequence[float]:
        """Train and keep the weights in `artifacts`."""


def export_trial(
    objective: ImageObjective,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    overwrite: bool = False,
) -> Path:
    """Export the network of a trial.

    Its weights are those the trial left in the objective's folder. If they are not there (only
    the best trials' are kept), the network is trained again, in the same way and with the same
    seed; the log and `model.json` say so.

    Args:
        objective: The objective the trial ran, with the same settings.
        study: The study.
        trial: One of its trials, e.g. `study.best_trial`.
        folder: Where to; its parent folders are made.
        overwrite: Whether an earlier export in `folder` is replaced.

    Returns:
        The folder, absolute.

    Raises:
        FileExistsError: There is something at `folder`: anything, or with `overwrite` anything
            but an export.
        ValueError: The trial's parameters are no architecture of the objective's space, the kept
            weights are not of a network this objective builds, or the training diverged.
    """
    target = check_folder(folder, ours=FILES, overwrite=overwrite)
    architecture = objective.space.architecture(trial.params)
    weights, finished = _kept_weights(objective, study, trial), trial
    retrained = weights is None
    if weights is None:
        weights, finished = _train_again(objective, trial)
    network = objective.build(architecture)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"The weights of trial {trial.number} do not fit the network that `objective` builds; "
            f"give it the settings of the search. {error}"
        ) from error
    values = dict(zip(objective.metric_names, finished.values or (), strict=False))
    attributes = {n: finished.user_attrs[n] for n in _LOGGED if n in finished.user_attrs}
    data = objective.data
    return export_model(
        network,
        target,
        architecture=architecture,
        image_shape=(data.in_channels, *data.image_size),
        class_names=data.class_names,
        mean=data.mean,
        std=data.std,
        metrics={**values, **attributes},
        about={"study": study.study_name, "trial": trial.number, "trained_again": retrained},
        overwrite=overwrite,
    )


def _kept_weights(
    objective: ImageObjective, study: optuna.Study, trial: FrozenTrial
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
    objective: ImageObjective, trial: FrozenTrial
) -> tuple[dict[str, torch.Tensor], FrozenTrial]:
    """Run the objective on the trial's parameters, in a study and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="optuna-nas-") as folder:
        private = copy.copy(objective)
        private.artifacts = folder
        study = optuna.create_study(
            directions=list(objective.directions), pruner=optuna.pruners.NopPruner()
        )
        # A retry is seeded like the trial it goes back to.
        origin = trial.system_attrs.get("failed_trial", trial.number)
        attributes = {"fixed_params": trial.params, "failed_trial": origin}
        study.add_trial(optuna.create_trial(state=TrialState.WAITING, system_attrs=attributes))
        again = study.ask()
        try:
            study.tell(again, private(again))
        except optuna.TrialPruned as error:
            raise ValueError(f"Trial {trial.number} cannot be trained again. {error}") from error
        return load_weights(folder, study, again.number), study.trials[0]
