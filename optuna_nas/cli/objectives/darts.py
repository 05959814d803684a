"""`--objective darts`: search a cell by gradient descent, a whole search in one trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna_nas._accuracy import error_in_words
from optuna_nas.cli.mending import mendable
from optuna_nas.cli.objectives.images import (
    IMAGE_OPTIONS,
    describe_images,
    make_image_space,
    make_images,
    space_option,
)
from optuna_nas.cli.objectives.recipe import Option, Options, Recipe

if TYPE_CHECKING:
    from optuna_nas.objectives import Darts
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["DARTS"]

_SEARCH = (
    Option("epochs", int, 20, "Passes over the training data.", minimum=1),
    Option("batch_size", int, 32, "Examples of a step.", minimum=2),  # batch norm needs two
    Option("learning_rate", float, 0.025, "First learning rate of the weights."),
    Option("weight_decay", float, 3e-4, "L2 penalty."),
    Option("architecture_learning_rate", float, 3e-3, "Learning rate of the architecture."),
    Option("order", int, 1, "1, or 2 to look one step of the weights ahead.", minimum=1),
    Option("xi", float, None, "How far order 2 looks ahead; the learning rate if unset."),
    Option("edge_weights", bool, False, "Learn weights of the edges into a node too."),
    Option("channels", int, None, "Width of the supernet; published if unset."),
    Option("cells", int, None, "Depth of the supernet; published if unset."),
    Option("cutout", int, 0, "Side of the blanked square."),
    Option("device", str, None, "cpu, cuda, ...; a GPU if unset.", decides=False),
)


def _make_objective(options: Options, seed: int, artifacts: str) -> Darts:
    from optuna_nas.objectives import Darts

    space = make_image_space(options)
    data = make_images(options, seed)
    search = {option.name: options[option.name] for option in _SEARCH}
    with mendable(TypeError):  # a space without a supernet
        return Darts(space, data, seed=seed, artifacts=artifacts, **search)


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


def _report_parts() -> ReportParts:
    from optuna_nas.visualization.report_parts import ReportParts

    return ReportParts(
        gallery="The cells that were derived",
        attributes={"supernet_parameters": "Parameters of the supernet"},
        published={"trajectory.svg": "Weights of the operations by epoch"},
    )


DARTS = Recipe(
    name="darts",
    summary="search a cell on images by gradient descent",
    options=(space_option("nasbench201"), *IMAGE_OPTIONS, *_SEARCH),
    make_objective=_make_objective,
    steps=_steps,
    describe=_describe,
    report_parts=_report_parts,
    sampler="random",
    pruner="none",
    trials=4,
)
