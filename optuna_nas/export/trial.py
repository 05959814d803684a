"""Export the image network of a trial, from the weights it left or trained again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from optuna_nas.export.folder import check_folder
from optuna_nas.export.model import FILES, export_model
from optuna_nas.export.onnx_file import require_onnx
from optuna_nas.export.trained import (
    Trained,
    TrainedObjective,
    chosen_architecture,
    load_trained,
    trained,
)

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial
    from torch import nn

    from optuna_nas.data import ImageData
    from optuna_nas.spaces import Architecture

__all__ = ["ImageObjective", "export_trial", "write_trained"]


class ImageObjective(TrainedObjective, Protocol):
    """What is needed of an objective such as :class:`optuna_nas.objectives.CellCNN`."""

    @property
    def data(self) -> ImageData:
        """The images."""

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network of an architecture, on the CPU."""


def export_trial(
    objective: ImageObjective,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    onnx: bool = False,
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
        onnx: Whether `model.onnx` is written too.
        overwrite: Whether an earlier export in `folder` is replaced.

    Returns:
        The folder, absolute.

    Raises:
        MissingPackageError: What writes ONNX files is not installed.
        FileExistsError: There is something at `folder`: anything, or with `overwrite` anything
            but an export.
        UserError: The trial's parameters are no architecture of the objective's space, the kept
            weights are not of a network this objective builds or have another accuracy than the
            trial, or the training diverged.
    """
    if onnx:
        require_onnx()
    target = check_folder(folder, ours=FILES, overwrite=overwrite)
    architecture = chosen_architecture(objective, trial)
    found = trained(objective, study, trial)
    network = objective.build(architecture)
    return write_trained(
        network, architecture, found, objective.data, target, onnx=onnx, overwrite=overwrite
    )


def write_trained(
    network: nn.Module,
    architecture: Architecture | Sequence[Architecture],
    found: Trained,
    data: ImageData,
    folder: Path,
    *,
    onnx: bool,
    overwrite: bool,
) -> Path:
    """Put the weights that were found into the network, and write both.

    Args:
        network: The network as its objective builds it.
        architecture: Its architecture, or those of an ensemble's members.
        found: Its weights and metrics.
        data: The images it was trained on.
        folder: Where to.
        onnx: Whether `model.onnx` is written too.
        overwrite: Whether an earlier export in `folder` is replaced.

    Raises:
        UserError: The weights are of another network, or have another accuracy than the trial.
    """
    load_trained(network, found)
    return export_model(
        network,
        folder,
        architecture=architecture,
        image_shape=(data.in_channels, *data.image_size),
        class_names=data.class_names,
        mean=data.mean,
        std=data.std,
        metrics=found.metrics,
        about=found.about,
        onnx_images=data.validation.images if onnx else None,
        data=data,
        overwrite=overwrite,
    )
