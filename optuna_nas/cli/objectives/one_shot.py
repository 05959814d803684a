"""`--objective one-shot` and `darts`: search a cell on shared weights, a search in each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from optuna_nas._accuracy import error_in_words
from optuna_nas._options import preset_values, unset
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.named import named, unfit
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, make_goals
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.recipe import Option, Options, Recipe, declared, given
from optuna_nas.methods.darts import DARTS as METHOD
from optuna_nas.methods.method import Method
from optuna_nas.methods.presets import METHODS
from optuna_nas.objectives.options import OneShotOptions

if TYPE_CHECKING:
    from optuna_nas.objectives import OneShotSearch
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["DARTS", "ONE_SHOT"]

_SUPERNET = declared(OneShotOptions)
_METHOD = Option(
    "method",
    str,
    "darts",
    f"{', '.join(METHODS)}; several with commas between them; or module:object for your own.",
    imports=True,
)


def _method_options(methods: Mapping[str, Method]) -> tuple[Option, ...]:
    """The options of methods by name; unset, each is what a method has it be."""
    found: dict[str, Option] = {}
    for method in methods.values():
        for name, known in method.options.items():
            option = unset(known, method.small)
            if name in found and found[name].shown != option.shown:
                option = replace(option, shown="the method's")
            found[name] = option
    return tuple(found.values())


def _methods(options: Options) -> list[Method]:
    """The methods that are chosen."""
    names = options.get("method", METHOD.name).split(",")
    return [METHODS[name] if name in METHODS else _own_method(name) for name in names]


def _own_method(name: str) -> Method:
    found = named("method", name, dict.fromkeys(METHODS, ""))
    if not isinstance(found, Method):
        raise unfit("method", name, found, "a Method")
    return found


def _make_objective(
    options: Options, seed: int, artifacts: str, *, listed: Sequence[Option]
) -> OneShotSearch:
    from optuna.distributions import CategoricalDistribution

    from optuna_nas.objectives import OneShotSearch

    space, methods, goals = make_image_space(options), _methods(options), make_goals(options)
    data = make_images(options, seed)
    several = CategoricalDistribution([method.name for method in methods])
    with mendable(TypeError):  # a space without a supernet
        return OneShotSearch(
            space,
            data,
            method=methods[0] if len(methods) == 1 else several,
            seed=seed,
            artifacts=artifacts,
            **given(options, listed),
            **goals,
        )


def _steps(options: Options) -> int:
    if options["epochs"] is not None:
        return int(options["epochs"])
    values = [{**m.values, **preset_values(m, options["preset"])} for m in _methods(options)]
    return max(int(found["epochs"]) for found in values)


def _describe(objective: OneShotSearch) -> Sequence[str]:
    names = ", ".join(objective.search.methods)
    return (
        f"Cells of `{objective.space.name}` on shared weights ({names}), a whole search in each "
        f"trial, on {describe_images(objective.data)}.",
        "The value of a trial is the validation accuracy of its supernet: how well the search "
        "went. How good the cell is, its own training tells.",
        error_in_words(len(objective.data.validation)),
    )


def _report_parts() -> ReportParts:
    from optuna_nas.visualization.report_parts import ReportParts

    return ReportParts(
        gallery="The cells that were derived",
        attributes={"supernet_parameters": "Parameters of the supernet"},
        published={"trajectory.svg": "Weights of the operations by epoch"},
    )


def _recipe(name: str, summary: str, methods: Mapping[str, Method], *choice: Option) -> Recipe:
    listed = (*_SUPERNET, *_method_options(methods))
    return Recipe(
        name=name,
        summary=summary,
        options=(space_option("nasbench201"), *IMAGE_OPTIONS, *choice, *listed, *GOAL_OPTIONS),
        make_objective=partial(_make_objective, listed=listed),
        steps=_steps,
        describe=_describe,
        report_parts=_report_parts,
        sampler="random",
        pruner="none",
        trials=4,
    )


DARTS = _recipe("darts", "search a cell on images by gradient descent", {METHOD.name: METHOD})

ONE_SHOT = _recipe(
    "one-shot", "search a cell on images by a method of shared weights", METHODS, _METHOD
)
