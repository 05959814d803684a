"""Export the ensemble of a trial, as one network that averages its members."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas._attributes import read_list
from optuna_nas.errors import UserError
from optuna_nas.export.folder import check_folder
from optuna_nas.export.model import FILES
from optuna_nas.export.onnx_file import require_onnx
from optuna_nas.export.trained import trained
from optuna_nas.export.trial import write_trained
from optuna_nas.networks import EnsembleNetwork

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.objectives import EnsembleSearch

__all__ = ["export_ensemble"]


def export_ensemble(
    objective: EnsembleSearch,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    onnx: bool = False,
    overwrite: bool = False,
) -> Path:
    """Export the ensemble of a trial: a network whose softmax is the members' mean probability.

    Its weights are those the trial left in the objective's folder. If they are not there (only
    the best trials' are kept), the trial is run again, in the same way and with the same seed;
    the log and `model.json` say so.

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
        UserError: The trial has found no ensemble of the objective's space, the kept weights are
            not of the networks this objective builds, or a training diverged.
    """
    if onnx:
        require_onnx()
    target = check_folder(folder, ours=FILES, overwrite=overwrite)
    texts = read_list(trial.user_attrs, "members", str)
    if not texts:
        raise UserError(f"Trial {trial.number} cannot be exported: it has found no ensemble.")
    try:
        members = [objective.space.parse(text) for text in texts]
    except ValueError as error:
        raise UserError(f"Trial {trial.number} cannot be exported. {error}") from error
    found = trained(objective, study, trial)
    network = EnsembleNetwork(map(objective.build, members))
    return write_trained(
        network, members, found, objective.data, target, onnx=onnx, overwrite=overwrite
    )
