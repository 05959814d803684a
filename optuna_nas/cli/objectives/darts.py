"""`--objective darts`: search a cell by gradient descent, a whole search in one trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna_nas._accuracy import error_in_words
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.goals import GOAL_OPTIONS, make_goals
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.one_shot import SUPERNET_OPTIONS, report_parts
from optuna_nas.cli.objectives.recipe import Option, Options, Recipe
from optuna_nas.methods.darts import DARTS as METHOD

if TYPE_CHECKING:
    from optuna_nas.objectives import Darts

__all__ = ["DARTS"]

_NAMES = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "architecture_learning_rate",
    "order",
    "xi",
    "edge_weights",
)
_METHOD = METHOD.with_options(**METHOD.small)
_SEARCH = (
    *(
        Option(o.name, o.kind, o.default, o.help, minimum=o.minimum)
        for o in map(_METHOD.options.__getitem__, _NAMES)
    ),
    *SUPERNET_OPTIONS,
)


def _make_objective(options: Options, seed: int, artifacts: str) -> Darts:
    from optuna_nas.objectives import Darts

    space = make_image_space(options)
    goals = make_goals(options)
    data = make_images(options, seed)
    search = {option.name: options[option.name] for option in _SEARCH}
    with mendable(TypeError):  # a space without a supernet
        return Darts(space, data, seed=seed, artifacts=artifacts, **search, **goals)


def _steps(options: Options) -> int:
    epochs: int = options["epochs"]
    return epochs


def _describe(objective: Darts) -> Sequence[str]:
    return (
        f"Cells of `{objective.space.name}` by gradient descent (DARTS), a whole search in each "
        f"trial, on {describe_images(objective.data)}.",
        "The value of a trial is the validation accuracy of its supernet: how well the search "
        "went. How good the cell is, its own training tells.",
        error_in_words(len(objective.data.validation)),
    )


DARTS = Recipe(
    name="darts",
    summary="search a cell on images by gradient descent",
    options=(space_option("nasbench201"), *IMAGE_OPTIONS, *_SEARCH, *GOAL_OPTIONS),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    report_parts=report_parts,
    sampler="random",
    pruner="none",
    trials=4,
)
