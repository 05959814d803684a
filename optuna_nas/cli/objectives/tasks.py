"""`--objective mlp` and `--objective train`: a table, and a task of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas.cli.mending import mendable
from optuna_nas.cli.named import made, named, unfit
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, limits_in_words, make_goals
from optuna_nas.cli.objectives.images import SPACES, make_space, space_option
from optuna_nas.cli.objectives.recipe import Export, Option, Options, Recipe, declared, given
from optuna_nas.errors import UserError
from optuna_nas.objectives.options import CommonOptions, TrainingOptions

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.objectives import TaskTraining
    from optuna_nas.spaces import SearchSpace
    from optuna_nas.tasks import Task
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["MLP", "TRAIN"]

_SPACES = {**SPACES, "mlp": "optuna_nas.spaces:MLPSpace"}
_FOR_TABLES = {"epochs": 60, "optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.01}

_TRAINING = declared(TrainingOptions, CommonOptions)
_TABLE = tuple(
    Option(name, kind, default, words, task=True)
    for name, kind, default, words in (
        (
            "data",
            str,
            "diabetes",
            "a CSV, TSV, JSON or parquet file, a folder of them, a dataset of the Hugging Face "
            "hub, or breast_cancer, diabetes, iris, wine.",
        ),
        ("target", str, None, "Column to tell from the others."),
        ("kind", str, None, "classification or regression; by the target if unset."),
        ("drop", str, None, "Columns to leave out, with commas between them."),
        ("missing", str, None, "Words for missing values, with commas: NA,?."),
        ("max_categories", int, 100, "Most different texts of a column."),
        ("score", str, None, "accuracy of classes; r2 or rmse of numbers."),
        ("train_size", int, None, "Training examples to use."),
        ("validation_size", int, None, "Validation examples to use."),
        ("test_size", int, None, "Test examples to use."),
    )
)
_SHAPE = (
    Option("max_layers", int, 4, "Most hidden layers.", minimum=1, task=True),
    Option("max_width", int, 256, "Most neurons of a hidden layer.", minimum=8, task=True),
)


def _table_task(options: Options, seed: int) -> Task:
    from optuna_nas.data import load_table
    from optuna_nas.tasks import tabular

    names = [option.name for option in _TABLE if option.name not in ("data", "score")]
    loading = {name: options[name] for name in names}
    for name in ("drop", "missing"):
        words = (loading[name] or "").split(",")
        loading[name] = [word.strip() for word in words if word.strip()]
    return tabular(load_table(options["data"], seed=seed, **loading), score=options["score"])


def _own_task(options: Options, seed: int) -> Task:
    from optuna_nas.tasks import Task

    name = options["task"]
    if not name:
        raise UserError(
            "--task is not given; needed is module:object with a task, or with a function that "
            "makes one, as in examples/own_task.py."
        )
    found = named("task", name, {})
    task = made("task", name, found) if callable(found) and not isinstance(found, Task) else found
    if not isinstance(task, Task):
        raise unfit("task", name, task, "a Task")
    return task


def _make_mlp(options: Options, seed: int, artifacts: str) -> TaskTraining:
    from optuna_nas.spaces import MLPSpace

    space = MLPSpace(options["max_layers"], max_width=options["max_width"])
    return _objective(space, _table_task(options, seed), options, seed, artifacts)


def _make_train(options: Options, seed: int, artifacts: str) -> TaskTraining:
    space = make_space(options, _SPACES)
    return _objective(space, _own_task(options, seed), options, seed, artifacts)


def _objective(
    space: SearchSpace, task: Task, options: Options, seed: int, artifacts: str
) -> TaskTraining:
    from optuna_nas.objectives import TaskTraining

    training = given(options, (o for o in _TRAINING if o.name in options))
    goals = make_goals(options)
    with mendable(TypeError):  # a space without networks, or of networks for other inputs
        return TaskTraining(space, task, seed=seed, artifacts=artifacts, **training, **goals)


def _steps(options: Options) -> int:
    return int(options["epochs"])


def _reported(options: Options) -> str:
    return "score"


def _describe(objective: TaskTraining) -> Sequence[str]:
    about, score = objective.data.describe(), objective.task.score
    better = "more" if score.sign > 0 else "less"
    target = ""
    if "target" in about:
        classes = about["num_classes"]
        target = f", `{about['target']}` of {f'{classes} classes' if classes else 'numbers'}"
    return (
        f"Networks of `{objective.space.name}` on `{about['name']}`: {about['train']:,} training, "
        f"{about['validation']:,} validation and {about['test']:,} test examples{target}.",
        f"The value of a trial is its {' and '.join(objective.metric_names)} after the last epoch "
        f"({better} {score.name} is better). That on the test examples is a user attribute; "
        "nothing is searched on it.",
        *limits_in_words(objective.limited),
    )


def _report_parts() -> ReportParts:
    from optuna_nas.visualization.report_parts import ReportParts

    return ReportParts(gallery="The best networks", front="Networks on the Pareto front")


def _export(
    objective: TaskTraining,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    onnx: bool,
    overwrite: bool,
) -> Path:
    from optuna_nas.export.task import export_task

    if onnx:
        raise UserError("--format is 'onnx', which is for images and texts; allowed is torch.")
    return export_task(objective, study, trial, folder, overwrite=overwrite)


def _use_table(folder: Path) -> str:
    return f"python {folder / 'predict.py'} TABLE.csv"


def _use(folder: Path) -> str:
    return f"python -c 'import torch; print(torch.export.load(\"{folder / 'model.pt2'}\"))'"


MLP = Recipe(
    name="mlp",
    summary="train a multilayer perceptron on a table",
    options=(
        *_TABLE,
        *_SHAPE,
        *(
            replace(o, default=_FOR_TABLES.get(o.name, o.default))
            for o in _TRAINING
            if o.name not in ("channels", "cells")  # of which perceptrons have their own
        ),
        *GOAL_OPTIONS,
    ),
    make_objective=_make_mlp,
    steps=_steps,
    describe=_describe,
    report_parts=_report_parts,
    reported=_reported,
    export=Export(_export, _use_table),
)

TRAIN = Recipe(
    name="train",
    summary="train networks on a task of your own",
    options=(
        space_option("nasbench201", _SPACES),
        Option("task", str, "", "module:object with your task.", task=True, imports=True),
        *_TRAINING,
        *GOAL_OPTIONS,
    ),
    make_objective=_make_train,
    steps=_steps,
    describe=_describe,
    report_parts=_report_parts,
    reported=_reported,
    export=Export(_export, _use),
)
