"""The options of the objectives, declared once.

Apart from the objectives, because the command line lists them without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna_nas._checks import checked_clip, checked_positive, checked_share
from optuna_nas._numerics import deterministic_option, precision_option
from optuna_nas._options import option

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from optuna_nas.artifacts import ArtifactPlace
    from optuna_nas.measures import MeasureLike

ARTIFACTS = "optuna-nas-artifacts"
"""The folder that an objective writes to unless told otherwise."""


def _later(name: str, value: Any) -> Any:
    """Goals are checked together, when it is known what an objective learns."""
    return value


@dataclass(eq=False, repr=False, kw_only=True)
class GoalOptions:
    """What every objective has whose networks are measured (see `measures.goals`)."""

    goals: MeasureLike | Sequence[MeasureLike] | None = option(
        None,
        "What is optimised: accuracy, and measures such as latency behind it.",
        kind=str,
        check=_later,
        imports=True,
    )
    measures: MeasureLike | Sequence[MeasureLike] = option(
        (), "What is measured and logged beside that.", kind=str, check=_later, imports=True
    )
    limits: Mapping[MeasureLike, float] | str | None = option(
        None,
        "The most of measures that is allowed, as parameters=50_000.",
        kind=str,
        check=_later,
        imports=True,
    )
    measure_device: str | torch.device | None = option(
        None, "Where latency and energy are measured; where it is trained if unset.", kind=str
    )


@dataclass(eq=False, repr=False, kw_only=True)
class CommonOptions(GoalOptions):
    """What every objective that trains has."""

    device: str | torch.device | None = option(
        None, "cpu, cuda, ...; a GPU if there is one and it is unset.", kind=str, decides=False
    )
    seed: int = option(
        0,
        "Seed of everything random; trial n is seeded with this and n.",
        minimum=0,
        maximum=2**31 - 1,
    )
    artifacts: str | Path | ArtifactPlace | None = option(
        ARTIFACTS,
        "Folder or bucket of pictures, checkpoints and best weights, shared by all workers; "
        "without one no files are kept, so that an interrupted trial starts again.",
        decides=False,
    )


@dataclass(eq=False, repr=False, kw_only=True)
class ImageOptions(CommonOptions):
    """What every objective has that trains on images."""

    flip: bool | None = option(
        None, "Whether training images are mirrored; if unset, coloured ones are.", kind=bool
    )
    crop_padding: int | None = option(
        None,
        "Pixels of padding before the random crop; an eighth of the side if unset.",
        kind=int,
        minimum=0,
    )
    cutout: int = option(0, "Side of the blanked square, in pixels.", minimum=0)


@dataclass(kw_only=True)
class TrainingOptions:
    """How a network is trained from scratch."""

    epochs: int = option(12, "Passes over the training data.", minimum=1)
    batch_size: int = option(64, "Examples of a step.", minimum=2)  # batch norm needs two
    optimizer: str = option("sgd", "sgd or adamw.", choices=("sgd", "adamw"))
    learning_rate: float = option(0.1, "Peak of the learning rate.", check=checked_positive)
    momentum: float = option(0.9, "Nesterov momentum (sgd only).", check=checked_share)
    weight_decay: float = option(
        5e-4, "L2 penalty of sgd; decoupled decay of adamw.", check=checked_share
    )
    gradient_clip: float = option(
        5.0, "Largest norm of the weights' gradient; inf for none.", check=checked_clip
    )
    precision: str = precision_option("float16")
    deterministic: bool = deterministic_option()
    channels: int | None = option(None, "Width of the networks; published if unset.", kind=int)
    cells: int | None = option(None, "Depth of the networks; published if unset.", kind=int)


@dataclass(eq=False, repr=False, kw_only=True)
class CellCNNOptions(TrainingOptions, ImageOptions):
    """Those of `CellCNN`."""

    auxiliary: bool = option(False, "Train with the auxiliary head (space darts only).")
    drop_path_probability: float = option(
        0.0,
        "Probability to drop a path in the last epoch; it rises from zero (space darts only).",
        check=checked_share,
    )


@dataclass(eq=False, repr=False, kw_only=True)
class SearchOptions(ImageOptions):
    """What every objective has that searches by gradients: images that are held out."""

    preset: str = option(
        "published",
        "published, or small: options that fit small data and short searches.",
        choices=("published", "small"),
    )
    held_out: float = option(
        0.5,
        "Share of the training images that the architecture is learnt on.",
        check=checked_share,
    )


@dataclass(eq=False, repr=False, kw_only=True)
class OneShotOptions(SearchOptions):
    """Those of `OneShotSearch`, beside those of its method."""

    channels: int | None = option(None, "Width of the supernet; published if unset.", kind=int)
    cells: int | None = option(None, "Depth of the supernet; published if unset.", kind=int)


@dataclass(eq=False, repr=False, kw_only=True)
class EnsembleOptions(SearchOptions):
    """Those of `EnsembleSearch`, beside those of searches and trainings."""

    size: int = option(3, "Members of the ensemble.", minimum=1)
