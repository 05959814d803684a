"""`--objective edge-nes`: find an ensemble of cells for images, a whole search in one trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from optuna_nas._accuracy import error_in_words
from optuna_nas._choices import choose
from optuna_nas._options import from_preset, options_of, unset
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, limits_in_words, make_goals
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    image_command,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.recipe import Export, Option, Options, Recipe, declared, given
from optuna_nas.objectives.ensemble_settings import (
    HypernetworkSettings,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.objectives.options import EnsembleOptions

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.objectives import EnsembleSearch
    from optuna_nas.objectives.edge_nes import MemberSource
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["EDGE_NES"]

_MEMBERS = ("edge-nes", "darts", "random", "deviation", "repeated")

_SETTINGS = {
    "search_epochs": ("search epochs",),
    "hypernetwork_epochs": ("hypernetwork epochs",),
    "search_channels": ("search channels", "hypernetwork channels"),
    "search_cells": ("search cells", "hypernetwork cells"),
    "architecture_learning_rate": ("search architecture_learning_rate",),
    "hypernetwork_learning_rate": ("hypernetwork architecture_learning_rate",),
    "batch_size": ("search batch_size", "hypernetwork batch_size", "training batch_size"),
    **{
        o.name: (f"training {o.name}",)
        for o in declared(TrainingSettings)
        if o.name != "batch_size"
    },
}
"""The options of searches and trainings, and which settings they are."""

_KINDS: dict[str, Any] = {
    "search": SupernetSettings,
    "hypernetwork": HypernetworkSettings,
    "training": TrainingSettings,
}


def _setting(name: str, places: Sequence[str]) -> Option:
    """An option; unset, it is what the preset has it be."""
    part, field = places[0].split()
    of = "" if part == "training" or len(places) > 1 else f"Of the {part}: "
    option = unset(options_of(_KINDS[part])[field], _KINDS[part].small)
    return replace(option, name=name, help=of + option.help)


_OWN = tuple(
    replace(o, name="ensemble_size") if o.name == "size" else o for o in declared(EnsembleOptions)
)
_OPTIONS = (
    Option(
        "members",
        str,
        "edge-nes",
        f"Where candidates come from: {', '.join(_MEMBERS)} (a deep ensemble).",
        choices=_MEMBERS,
    ),
    Option("candidates", int, 6, "Architectures to train and to choose from.", minimum=1),
    # There was no preset, but its values.
    *(replace(o, earlier="small") if o.name == "preset" else o for o in _OWN),
    *(_setting(name, places) for name, places in _SETTINGS.items()),
)


def _part(options: Options, part: str) -> dict[str, Any]:
    """The values of the settings of a search or of the trainings that are given."""
    return {
        place.split()[1]: options[name]
        for name, places in _SETTINGS.items()
        for place in places
        if place.split()[0] == part and options[name] is not None
    }


def _settings(options: Options) -> dict[str, Any]:
    return {
        part: from_preset(kind, options["preset"], **_part(options, part))
        for part, kind in _KINDS.items()
    }


def _members(options: Options) -> MemberSource:
    from optuna_nas.objectives.edge_nes import members

    kinds: tuple[Any, ...] = (
        members.HypernetworkMembers,
        members.DartsMembers,
        members.RandomMembers,
        members.DeviatingMembers,
        members.RepeatedMembers,
    )
    kind = choose("members", options["members"], dict(zip(_MEMBERS, kinds, strict=True)))
    parts = {"candidates": options["candidates"], **_settings(options)}
    return cast("MemberSource", kind(**{f.name: parts[f.name] for f in fields(kind)}))


def _make_objective(options: Options, seed: int, artifacts: str) -> EnsembleSearch:
    from optuna_nas.objectives import EnsembleSearch

    space, members = make_image_space(options), _members(options)
    own = {**given(options, _OWN), **make_goals(options)}
    data = make_images(options, seed)
    with mendable(TypeError):  # a space without a supernet
        return EnsembleSearch(
            space,
            data,
            members,
            size=own.pop("ensemble_size"),
            training=_settings(options)["training"],
            seed=seed,
            artifacts=artifacts,
            **own,
        )


def _steps(options: Options) -> int:
    searches = _members(options).searches
    repeated = options["candidates"] if options["members"] == "darts" else 1
    trained: int = options["candidates"] * _settings(options)["training"].epochs
    return repeated * sum(settings.epochs for settings in searches) + trained


def _describe(objective: EnsembleSearch) -> Sequence[str]:
    return (
        f"Ensembles of {objective.size} cells of `{objective.space.name}`, a whole search in each "
        f"trial, on {describe_images(objective.data)}.",
        "The value of a trial is the validation accuracy of its ensemble, which was chosen on the "
        "same images; compare ensembles by their test reports. Nothing is searched on the test "
        "images.",
        *limits_in_words(objective.limited),
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
    options=(space_option("edge-nes"), *IMAGE_OPTIONS, *_OPTIONS, *GOAL_OPTIONS),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    export=Export(_export, image_command),
    report_parts=_report_parts,
    sampler="random",
    pruner="none",
    trials=1,
)
