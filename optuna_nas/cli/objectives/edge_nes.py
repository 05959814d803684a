"""`--objective edge-nes`: find an ensemble of cells for images, a whole search in one trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna_nas._accuracy import error_in_words
from optuna_nas._choices import choose
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    image_command,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.recipe import Export, Option, Options, Recipe

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.objectives import EnsembleSearch
    from optuna_nas.objectives.edge_nes import (
        HypernetworkSettings,
        MemberSource,
        SupernetSettings,
        TrainingSettings,
    )
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["EDGE_NES"]

_ENSEMBLE = (
    Option(
        "members",
        str,
        "edge-nes",
        "Where candidates come from: edge-nes, darts, random, deviation, or repeated (a deep "
        "ensemble).",
    ),
    Option("ensemble_size", int, 3, "Members of the ensemble.", minimum=1),
    Option("candidates", int, 6, "Architectures to train and to choose from.", minimum=1),
)

_SEARCH = (
    Option("search_epochs", int, 20, "Epochs of a search for one architecture.", minimum=1),
    Option("hypernetwork_epochs", int, 20, "Epochs of the hypernetwork.", minimum=1),
    Option("search_channels", int, None, "Width of the supernets; published if unset."),
    Option("search_cells", int, None, "Depth of the supernets; published if unset."),
    Option("architecture_learning_rate", float, 3e-3, "Learning rate of the architecture."),
    Option("hypernetwork_learning_rate", float, 0.1, "Learning rate of the hypernetwork."),
)

_TRAINING = (
    Option("epochs", int, 12, "Passes over the training data.", minimum=1),
    Option("batch_size", int, 32, "Examples of a step.", minimum=2),  # batch norm needs two
    Option("learning_rate", float, 0.1, "Peak of the learning rate."),
    Option("weight_decay", float, 5e-4, "L2 penalty."),
    Option("channels", int, None, "Width of the networks; published if unset."),
    Option("cells", int, None, "Depth of the networks; published if unset."),
)

_CUTOUT = Option("cutout", int, 0, "Side of the blanked square.")
_DEVICE = Option("device", str, None, "cpu, cuda, ...; a GPU if unset.", decides=False)

_HYPERNETWORK_WEIGHTS_RATE = 0.025
"""That of the other searches: the published 0.0025 is for 150 epochs."""


def _edge_nes(options: Options) -> MemberSource:
    from optuna_nas.objectives.edge_nes import HypernetworkMembers

    return HypernetworkMembers(options["candidates"], _search(options), _hypernetwork(options))


def _darts(options: Options) -> MemberSource:
    from optuna_nas.objectives.edge_nes import DartsMembers

    return DartsMembers(options["candidates"], _search(options))


def _random(options: Options) -> MemberSource:
    from optuna_nas.objectives.edge_nes import RandomMembers

    return RandomMembers(options["candidates"])


def _deviation(options: Options) -> MemberSource:
    from optuna_nas.objectives.edge_nes import DeviatingMembers

    return DeviatingMembers(options["candidates"], _search(options))


def _repeated(options: Options) -> MemberSource:
    from optuna_nas.objectives.edge_nes import RepeatedMembers

    return RepeatedMembers(options["candidates"], _search(options))


_MEMBERS: dict[str, Callable[[Options], MemberSource]] = {
    "edge-nes": _edge_nes,
    "darts": _darts,
    "random": _random,
    "deviation": _deviation,
    "repeated": _repeated,
}


def _search(options: Options) -> SupernetSettings:
    from optuna_nas.objectives.edge_nes import SupernetSettings

    return SupernetSettings(
        epochs=options["search_epochs"],
        architecture_learning_rate=options["architecture_learning_rate"],
        **_supernet(options),
    )


def _hypernetwork(options: Options) -> HypernetworkSettings:
    from optuna_nas.objectives.edge_nes import HypernetworkSettings

    return HypernetworkSettings(
        epochs=options["hypernetwork_epochs"],
        learning_rate=_HYPERNETWORK_WEIGHTS_RATE,
        architecture_learning_rate=options["hypernetwork_learning_rate"],
        **_supernet(options),
    )


def _supernet(options: Options) -> dict[str, Any]:
    return {
        "batch_size": options["batch_size"],
        "channels": options["search_channels"],
        "cells": options["search_cells"],
    }


def _training(options: Options) -> TrainingSettings:
    from optuna_nas.objectives.edge_nes import TrainingSettings

    return TrainingSettings(**{option.name: options[option.name] for option in _TRAINING})


def _members(options: Options) -> MemberSource:
    return choose("members", options["members"], _MEMBERS)(options)


def _make_objective(options: Options, seed: int, artifacts: str) -> EnsembleSearch:
    from optuna_nas.objectives import EnsembleSearch

    space = make_image_space(options)
    members, training = _members(options), _training(options)
    data = make_images(options, seed)
    with mendable(TypeError):  # a space without a supernet
        return EnsembleSearch(
            space,
            data,
            members,
            size=options["ensemble_size"],
            training=training,
            cutout=options["cutout"],
            device=options["device"],
            seed=seed,
            artifacts=artifacts,
        )


def _steps(options: Options) -> int:
    searches = _members(options).searches
    repeated = options["candidates"] if options["members"] == "darts" else 1
    trained: int = options["candidates"] * options["epochs"]
    return repeated * sum(settings.epochs for settings in searches) + trained


def _describe(objective: EnsembleSearch) -> Sequence[str]:
    return (
        f"Ensembles of {objective.size} cells of `{objective.space.name}`, a whole search in each "
        f"trial, on {describe_images(objective.data)}.",
        "The value of a trial is the validation accuracy of its ensemble, which was chosen on the "
        "same images; compare ensembles by their test reports. Nothing is searched on the test "
        "images.",
        error_in_words(len(objective.data.validation)),
    )


def _export(
    objective: EnsembleSearch,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    onnx: bool,
    overwrite: bool,
) -> Path:
    from optuna_nas.export import export_ensemble

    return export_ensemble(objective, study, trial, folder, onnx=onnx, overwrite=overwrite)


def _report_parts() -> ReportParts:
    from optuna_nas.visualization.report_ensembles import ENSEMBLES

    return ENSEMBLES


EDGE_NES = Recipe(
    name="edge-nes",
    summary="find an ensemble of cells for images",
    options=(
        space_option("edge-nes"),
        *IMAGE_OPTIONS,
        *_ENSEMBLE,
        *_SEARCH,
        *_TRAINING,
        _CUTOUT,
        _DEVICE,
    ),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    export=Export(_export, image_command),
    report_parts=_report_parts,
    sampler="random",
    pruner="none",
    trials=1,
)
