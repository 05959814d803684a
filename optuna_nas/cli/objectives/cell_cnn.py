"""`--objective cell-cnn`: train the network of a cell on images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas._accuracy import error_in_words
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, limits_in_words, make_goals
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    image_command,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.recipe import Export, Options, Recipe, declared, given
from optuna_nas.objectives.options import CellCNNOptions

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.objectives import CellCNN
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["CELL_CNN"]

_TRAINING = declared(CellCNNOptions)


def _make_objective(options: Options, seed: int, artifacts: str) -> CellCNN:
    from optuna_nas.objectives import CellCNN

    space, goals = make_image_space(options), make_goals(options)
    data, training = make_images(options, seed), given(options, _TRAINING)
    return CellCNN(space, data, seed=seed, artifacts=artifacts, **training, **goals)


def _steps(options: Options) -> int:
    epochs: int = options["epochs"]
    return epochs


def _describe(objective: CellCNN) -> Sequence[str]:
    size = objective.space.size
    goals = " and ".join(objective.metric_names)
    settings = "" if size is None else f" ({size:,} settings)"
    return (
        f"Cells of `{objective.space.name}`{settings} on {describe_images(objective.data)}.",
        f"The value of a trial is its {goals} after the last epoch. The test accuracy is a user "
        "attribute; nothing is searched on it.",
        *limits_in_words(objective.limited),
        error_in_words(len(objective.data.validation)),
    )


def _export(
    objective: CellCNN,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    onnx: bool,
    overwrite: bool,
) -> Path:
    from optuna_nas.export import export_trial

    return export_trial(objective, study, trial, folder, onnx=onnx, overwrite=overwrite)


def _report_parts() -> ReportParts:
    from optuna_nas.visualization.report_parts import CELLS

    return CELLS


CELL_CNN = Recipe(
    name="cell-cnn",
    summary="train the network of a cell on images",
    options=(
        space_option("nasbench201"),
        *IMAGE_OPTIONS,
        *_TRAINING,
        *GOAL_OPTIONS,
    ),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    export=Export(_export, image_command),
    report_parts=_report_parts,
)
