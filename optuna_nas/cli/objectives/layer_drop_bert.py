"""`--objective layer-drop-bert`: fine-tune a pretrained BERT with fewer layers on texts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas._accuracy import error_in_words
from optuna_nas._checks import user_path
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, limits_in_words, make_goals
from optuna_nas.cli.objectives.recipe import Export, Option, Options, Recipe

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.data import TextData
    from optuna_nas.objectives import LayerDropBert
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["LAYER_DROP_BERT"]

_LOADING = tuple(
    Option(name, kind, None, words, task=True)
    for name, kind, words in (
        ("text_column", str, "Column of the texts."),
        ("label_column", str, "Column of the labels."),
        ("encoding", str, "Encoding of text files; UTF-8, or as they are marked, if unset."),
        ("train_size", int, "Training examples to use."),
        ("validation_size", int, "Validation examples to use."),
        ("test_size", int, "Test examples to use."),
    )
)

_TRAINING = (
    Option("epochs", int, 2, "Passes over the training data.", minimum=1),
    Option("batch_size", int, 32, "Examples of a step.", minimum=1),
    Option("learning_rate", float, 5e-5, "Peak of the learning rate."),
    Option("weight_decay", float, 0.01, "L2 penalty."),
    Option("max_length", int, 128, "Tokens of a text; longer ones are cut."),
    Option("evaluations_per_epoch", int, 2, "How often the pruner is asked.", minimum=1),
    Option("min_layers", int, 1, "The fewest layers that are kept."),
    Option("max_layers", int, None, "The most layers that are kept; all if unset."),
    Option(
        "parameter_weight", float, 0.1, "What all parameters of the full model cost in the score."
    ),
    Option("warm_start", bool, False, "Fine-tune the full model once, and start trials from it."),
    Option("device", str, None, "cpu, cuda, ...; a GPU if unset.", decides=False),
)

_GOALS = Option(
    "goals",
    str,
    "score",
    "score (accuracy less size) or accuracy; and behind it measures, speedup too.",
    imports=True,
)


def _make_objective(options: Options, seed: int, artifacts: str) -> LayerDropBert:
    from optuna_nas.data import load_text

    with mendable(ImportError):  # which says how to install what is missing
        from optuna_nas.objectives import LayerDropBert

    loading = {option.name: options[option.name] for option in _LOADING}
    training = {option.name: options[option.name] for option in _TRAINING}
    goals = make_goals(options)
    return LayerDropBert(
        options["model"],
        load_text(options["data"], seed=seed, **loading),
        seed=seed,
        artifacts=artifacts,
        **training,
        **goals,
    )


def _reported(options: Options) -> str:
    first: str = options["goals"].partition(",")[0]
    return first.strip()


def _steps(options: Options) -> int:
    steps: int = options["epochs"] * options["evaluations_per_epoch"]
    return steps


def _describe(objective: LayerDropBert) -> Sequence[str]:
    space = objective.space
    data: TextData = objective.data
    sizes = (len(split) for split in (data.train, data.validation, data.test))
    train, validation, test = (f"{size:,}" for size in sizes)
    return (
        f"{space.min_layers} to {space.max_layers} of the {space.num_layers} layers of "
        f"`{objective.model}` ({space.size:,} choices) on `{data.name}`: {train} training, "
        f"{validation} validation and {test} test texts, {data.num_classes} classes.",
        f"The trials' {' and '.join(objective.metric_names)} are measured on the validation texts "
        "after the last step. The test accuracy is a user attribute; nothing is searched on it.",
        *limits_in_words(objective.limited),
        error_in_words(len(objective.data.validation)),
    )


def _export(
    objective: LayerDropBert,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    onnx: bool,
    overwrite: bool,
) -> Path:
    from optuna_nas.export.folder import check_folder
    from optuna_nas.export.onnx_file import require_onnx
    from optuna_nas.export.trained import chosen_architecture, trained
    from optuna_nas.objectives.layer_drop_bert.export import DESCRIPTION

    if onnx:
        require_onnx()
    target = user_path(folder)  # checked before anything is trained again
    ours = {path.name for path in target.iterdir()} if (target / DESCRIPTION).exists() else ()
    check_folder(target, ours=ours, overwrite=overwrite)
    architecture = chosen_architecture(objective, trial)
    found = trained(objective, study, trial)
    with mendable(ValueError):  # weights of other settings
        return objective.export_model(
            architecture,
            found.weights,
            folder,
            metrics=found.metrics,
            about=found.about,
            onnx=onnx,
            overwrite=overwrite,
        )


def _use(folder: Path) -> str:
    code = (
        "from transformers import pipeline; "
        f"print(pipeline('text-classification', {str(folder)!r})('...'))"
    )
    return shlex.join(["python", "-c", code])


def _report_parts() -> ReportParts:
    from optuna_nas.visualization.report_layers import LAYERS

    return LAYERS


LAYER_DROP_BERT = Recipe(
    name="layer-drop-bert",
    summary="fine-tune a pretrained BERT with fewer layers on texts",
    options=(
        Option(
            "model",
            str,
            "google-bert/bert-base-uncased",
            "A folder of a model and its tokenizer, or a model of the Hugging Face hub.",
            task=True,
        ),
        Option(
            "data",
            str,
            "stanfordnlp/sst2",
            "a folder or file of texts, or a dataset of the Hugging Face hub.",
            task=True,
        ),
        *_LOADING,
        *_TRAINING,
        _GOALS,
        *(option for option in GOAL_OPTIONS if option.name != _GOALS.name),
    ),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    export=Export(_export, _use, "optuna_nas.json"),
    report_parts=_report_parts,
    reported=_reported,
    step="evaluation",
    sampler_arguments={"bananas": {"loss": "mse"}},
)
