"""How the searches and the trainings of an ensemble are done: plain, checked numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.methods import EdgePenalty, Schedule


@dataclass(frozen=True, kw_only=True)
class SupernetSettings(Schedule):
    """How a supernet and an architecture are learnt together, as in DARTS of the first order.

    Attributes:
        channels: Width of the supernet; None is the published one of the space.
        cells: Depth of the supernet; None is the published one of the space.

    Raises:
        ValueError: A number is out of range.
    """

    channels: int | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_size(self.channels, self.cells)


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
        checked_integer("epochs", self.epochs)
        checked_integer("batch_size", self.batch_size, 2)  # batch norm needs two
        _check_size(self.channels, self.cells)
        checked_positive("learning_rate", self.learning_rate)
        checked_share("momentum", self.momentum)
        checked_share("weight_decay", self.weight_decay)
        checked_positive("gradient_clip", self.gradient_clip, infinite=True)

    def describe(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return asdict(self)


def _check_size(channels: int | None, cells: int | None) -> None:
    for name, value in (("channels", channels), ("cells", cells)):
        if value is not None:
            checked_integer(name, value)
