"""How the searches and the trainings of an ensemble are done: plain, checked numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.methods import EdgePenalty
from optuna_nas.objectives.supernet_training import SearchRecipe
from optuna_nas.objectives.training import Augmentation


@dataclass(frozen=True, kw_only=True)
class SupernetSettings:
    """How a supernet and an architecture are learnt together, as in DARTS of the first order.

    Attributes:
        epochs: Passes over the images for the weights.
        batch_size: Images of a step.
        channels: Width of the supernet; None is the published one of the space.
        cells: Depth of the supernet; None is the published one of the space.
        learning_rate: Learning rate of the weights in the first epoch.
        final_learning_rate: What it falls to along a cosine.
        momentum: Momentum of the weights.
        weight_decay: Weight decay of the weights.
        gradient_clip: Largest norm of the weights' gradient; infinite for none.
        architecture_learning_rate: Learning rate of the architecture, or of the hypernetwork.
        architecture_weight_decay: Its weight decay.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int = 50
    batch_size: int = 64
    channels: int | None = None
    cells: int | None = None
    learning_rate: float = 0.025
    final_learning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    architecture_learning_rate: float = 3e-4
    architecture_weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        _check_training(self)
        checked_positive("final_learning_rate", self.final_learning_rate)
        checked_positive("architecture_learning_rate", self.architecture_learning_rate)
        checked_share("architecture_weight_decay", self.architecture_weight_decay)
        if self.learning_rate < self.final_learning_rate:
            raise ValueError(
                f"`learning_rate` is {self.learning_rate!r}; allowed is `final_learning_rate` "
                f"({self.final_learning_rate}) or more."
            )

    def recipe(self, augmentation: Augmentation) -> SearchRecipe:
        """The recipe of the training of a supernet."""
        return SearchRecipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            order=1,
            xi=None,
            learning_rate=self.learning_rate,
            final_learning_rate=self.final_learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            architecture_learning_rate=self.architecture_learning_rate,
            architecture_weight_decay=self.architecture_weight_decay,
            augmentation=augmentation,
        )


@dataclass(frozen=True, kw_only=True)
class HypernetworkSettings(SupernetSettings):
    """How a supernet and a hypernetwork are learnt together.

    The defaults of a supernet are replaced by those published for the hypernetwork.

    Attributes:
        pivots: The pivots of the hypernetwork's curve, both ends included.
        margin: How far λ is drawn beyond its range.
        penalty: The penalty on the number of shared edges, and its warm-up.
    """

    epochs: int = 150
    learning_rate: float = 0.0025
    final_learning_rate: float = 0.0025
    architecture_learning_rate: float = 0.02
    pivots: int = 5
    margin: float = 0.2
    penalty: EdgePenalty = field(default_factory=EdgePenalty)

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_integer("pivots", self.pivots, 2)
        checked_share("margin", self.margin)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How the candidates of an ensemble are trained from scratch, as in `CellCNN`.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images of a step.
        channels: Width of the networks; None is the published one of the space.
        cells: Depth of the networks; None is the published one of the space.
        learning_rate: Peak of the learning rate.
        momentum: Nesterov momentum.
        weight_decay: L2 penalty.
        gradient_clip: Largest norm of the gradient; infinite for none.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int = 50
    batch_size: int = 64
    channels: int | None = None
    cells: int | None = None
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    gradient_clip: float = 5.0

    def __post_init__(self) -> None:
        _check_training(self)

    def describe(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return asdict(self)


def _check_training(settings: SupernetSettings | TrainingSettings) -> None:
    """Check what the trainings of supernets and of candidates have in common."""
    checked_integer("epochs", settings.epochs)
    checked_integer("batch_size", settings.batch_size, 2)  # batch norm needs two
    for name in ("channels", "cells"):
        if getattr(settings, name) is not None:
            checked_integer(name, getattr(settings, name))
    checked_positive("learning_rate", settings.learning_rate)
    checked_share("momentum", settings.momentum)
    checked_share("weight_decay", settings.weight_decay)
    checked_positive("gradient_clip", settings.gradient_clip, infinite=True)
