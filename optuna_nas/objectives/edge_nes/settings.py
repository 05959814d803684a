"""How the searches and the trainings of an ensemble are done: plain, checked numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from optuna_nas._checks import checked_integer, checked_share
from optuna_nas._options import check_options, documented, option
from optuna_nas.methods import EdgePenalty, Schedule
from optuna_nas.objectives.options import TrainingOptions


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


@documented
@dataclass(kw_only=True)
class TrainingSettings(TrainingOptions):
    """How the candidates of an ensemble are trained from scratch, as in `CellCNN`.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int = option(50, "Passes over the training data.", minimum=1)

    def __post_init__(self) -> None:
        check_options(self)


def _check_size(channels: int | None, cells: int | None) -> None:
    for name, value in (("channels", channels), ("cells", cells)):
        if value is not None:
            checked_integer(name, value)
