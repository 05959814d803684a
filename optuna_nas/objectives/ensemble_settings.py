"""How the searches and the trainings of an ensemble are done: plain, checked numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from optuna_nas._checks import checked_share
from optuna_nas._options import check_options, documented, option, with_default
from optuna_nas.methods.edge_penalty import EdgePenalty
from optuna_nas.methods.schedule import Schedule
from optuna_nas.objectives.options import OneShotOptions, TrainingOptions


@documented
@dataclass(frozen=True, kw_only=True)
class SupernetSettings(Schedule):
    """How a supernet and an architecture are learnt together, as in DARTS of the first order.

    Raises:
        ValueError: A number is out of range.
    """

    small: ClassVar[dict[str, Any]] = {
        "epochs": 20,
        "batch_size": 32,
        "architecture_learning_rate": 3e-3,
    }

    channels: int | None = with_default(OneShotOptions, "channels", None)
    cells: int | None = with_default(OneShotOptions, "cells", None)


@documented
@dataclass(frozen=True, kw_only=True)
class HypernetworkSettings(SupernetSettings):
    """How a supernet and a hypernetwork are learnt together; as published unless told otherwise.

    Attributes:
        penalty: The penalty on the number of shared edges, and its warm-up.

    Raises:
        ValueError: A number is out of range.
    """

    small: ClassVar[dict[str, Any]] = {
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 0.025,  # the published 0.0025 is for 150 epochs
        "architecture_learning_rate": 0.1,
    }

    epochs: int = with_default(Schedule, "epochs", 150)
    learning_rate: float = with_default(Schedule, "learning_rate", 0.0025)
    final_learning_rate: float = with_default(Schedule, "final_learning_rate", 0.0025)
    architecture_learning_rate: float = with_default(Schedule, "architecture_learning_rate", 0.02)
    pivots: int = option(5, "Pivots of the curve of architectures, with both ends.", minimum=2)
    margin: float = option(0.2, "How far λ is drawn beyond its range.", check=checked_share)
    penalty: EdgePenalty = field(default_factory=EdgePenalty)


@documented
@dataclass(kw_only=True)
class TrainingSettings(TrainingOptions):
    """How the candidates of an ensemble are trained from scratch, as in `CellCNN`.

    Raises:
        ValueError: A number is out of range.
    """

    small: ClassVar[dict[str, Any]] = {"epochs": 12, "batch_size": 32}

    epochs: int = with_default(TrainingOptions, "epochs", 50)

    def __post_init__(self) -> None:
        check_options(self)
