"""`--objective one-shot`: search a cell on shared weights, a whole search in one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna_nas._accuracy import error_in_words
from optuna_nas._choices import choose
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, make_goals
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.parameters import defaults_in_words
from optuna_nas.cli.objectives.recipe import Option, Options, Recipe
from optuna_nas.methods.method import Method
from optuna_nas.methods.presets import METHODS

if TYPE_CHECKING:
    from optuna_nas.objectives import OneShotSearch
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["ONE_SHOT", "SUPERNET_OPTIONS", "report_parts"]

SUPERNET_OPTIONS = (
    Option("channels", int, None, "Width of the supernet; published if unset."),
    Option("cells", int, None, "Depth of the supernet; published if unset."),
    Option("cutout", int, 0, "Side of the blanked square."),
    Option("device", str, None, "cpu, cuda, ...; a GPU if unset.", decides=False),
)


def _method_options(methods: Mapping[str, Method]) -> tuple[Option, ...]:
    """The options of all methods by name; unset, each is what a method has it be."""
    declared = {option.name: option for m in methods.values() for option in m.options.values()}
    found = []
    for name, option in declared.items():
        defaults = {m.name: m.values[name] for m in methods.values() if name in m.options}
        words = option.help + defaults_in_words(defaults)
        found.append(Option(name, option.kind, None, words, minimum=option.minimum))
    return tuple(found)


_CHOICE = (
    Option("method", str, "darts", f"{', '.join(METHODS)}; several with commas between them."),
    Option("preset", str, "published", "published, or small: options that fit small data."),
)
_OPTIONS = _method_options(METHODS)


def _methods(options: Options) -> list[Method]:
    """The methods that are chosen."""
    return [choose("method", name, METHODS) for name in options["method"].split(",")]


def _given(options: Options) -> dict[str, Any]:
    """The options of methods that are set."""
    names = [option.name for option in _OPTIONS]
    return {name: options[name] for name in names if options[name] is not None}


def _make_objective(options: Options, seed: int, artifacts: str) -> OneShotSearch:
    from optuna.distributions import CategoricalDistribution

    from optuna_nas.objectives import OneShotSearch

    space = make_image_space(options)
    goals = make_goals(options)
    names = [method.name for method in _methods(options)]
    data = make_images(options, seed)
    supernet = {option.name: options[option.name] for option in SUPERNET_OPTIONS}
    with mendable(TypeError):  # a space without a supernet
        return OneShotSearch(
            space,
            data,
            method=names[0] if len(names) == 1 else CategoricalDistribution(names),
            preset=options["preset"],
            seed=seed,
            artifacts=artifacts,
            **supernet,
            **_given(options),
            **goals,
        )


def _steps(options: Options) -> int:
    if options["epochs"] is not None:
        return int(options["epochs"])
    small = options["preset"] == "small"
    longest = [{**m.values, **(m.small if small else {})} for m in _methods(options)]
    return max(int(values["epochs"]) for values in longest)


def _describe(objective: OneShotSearch) -> Sequence[str]:
    names = ", ".join(objective.search.methods)
    return (
        f"Cells of `{objective.space.name}` on shared weights ({names}), a whole search in each "
        f"trial, on {describe_images(objective.data)}.",
        "The value of a trial is the validation accuracy of its supernet: how well the search "
        "went. How good the cell is, its own training tells.",
        error_in_words(len(objective.data.validation)),
    )


def report_parts() -> ReportParts:
    """What a report shows of a search on shared weights."""
    from optuna_nas.visualization.report_parts import ReportParts

    return ReportParts(
        gallery="The cells that were derived",
        attributes={"supernet_parameters": "Parameters of the supernet"},
        published={"trajectory.svg": "Weights of the operations by epoch"},
    )


ONE_SHOT = Recipe(
    name="one-shot",
    summary="search a cell on images by a method of shared weights",
    options=(
        space_option("nasbench201"),
        *IMAGE_OPTIONS,
        *_CHOICE,
        *_OPTIONS,
        *SUPERNET_OPTIONS,
        *GOAL_OPTIONS,
    ),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    report_parts=report_parts,
    sampler="random",
    pruner="none",
    trials=4,
)
