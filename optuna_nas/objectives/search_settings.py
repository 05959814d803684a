"""How a differentiable search is done: numbers, or distributions that each trial suggests from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.objectives.supernet_training import SearchRecipe
from optuna_nas.objectives.training import Augmentation
from optuna_nas.objectives.tunables import Tunable, Tunables

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

_TUNABLE = (
    "order",
    "learning_rate",
    "weight_decay",
    "architecture_learning_rate",
    "architecture_weight_decay",
    "xi",
)


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The settings of a search, as `Darts` takes them; those marked *tunable* may be suggested.

    Attributes:
        epochs: Passes over the images for the weights.
        batch_size: Images of a step.
        order: 1 or 2. Tunable.
        xi: Length of the step to look ahead; None for the learning rate. Tunable.
        learning_rate: Learning rate of the weights in the first epoch. Tunable.
        final_learning_rate: What it falls to along a cosine.
        momentum: Momentum of the weights.
        weight_decay: Weight decay of the weights. Tunable.
        gradient_clip: Largest norm of the weights' gradient; infinite for none.
        architecture_learning_rate: Learning rate of the architecture. Tunable.
        architecture_weight_decay: Weight decay of the architecture. Tunable.

    Raises:
        ValueError: A number, or one that a distribution can suggest, is out of range.
    """

    epochs: int
    batch_size: int
    order: Tunable
    xi: Tunable | None
    learning_rate: Tunable
    final_learning_rate: float
    momentum: float
    weight_decay: Tunable
    gradient_clip: float
    architecture_learning_rate: Tunable
    architecture_weight_decay: Tunable

    def __post_init__(self) -> None:
        checked_integer("epochs", self.epochs)
        checked_integer("batch_size", self.batch_size, 2)  # batch norm needs two
        checked_positive("final_learning_rate", self.final_learning_rate)
        checked_share("momentum", self.momentum)
        checked_positive("gradient_clip", self.gradient_clip, infinite=True)
        if self.xi is not None and self.order == 1:
            raise ValueError(
                f"`xi` is {self.xi!r}, but `order` is {self.order!r}; allowed is None, or "
                "`order=2`: the first order does not look ahead."
            )
        _ = self._tunables  # checks the others

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The settings that trials suggest."""
        return self._tunables.distributions

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that are the same in all trials, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name not in _TUNABLE}

    def recipe(self, trial: BaseTrial, augmentation: Augmentation) -> SearchRecipe:
        """The recipe of a trial, which suggests what is to be suggested."""
        order = int(self._tunables.suggest(trial, "order"))
        names = [name for name in _TUNABLE if name not in ("order", "xi")]
        return SearchRecipe(
            **self.fixed,
            **{name: self._tunables.suggest(trial, name) for name in names},
            order=order,
            xi=self._tunables.suggest(trial, "xi") if order == 2 else None,
            augmentation=augmentation,
        )

    @cached_property
    def _tunables(self) -> Tunables:
        return Tunables(
            {name: getattr(self, name) for name in _TUNABLE},
            {
                "order": lambda argument, value: checked_integer(argument, value, 1, 2),
                "xi": _checked_xi,
                "learning_rate": self._checked_rate,
                "weight_decay": checked_share,
                "architecture_learning_rate": checked_positive,
                "architecture_weight_decay": checked_share,
            },
        )

    def _checked_rate(self, argument: str, value: float) -> float:
        # The schedule falls.
        if checked_positive(argument, value) < self.final_learning_rate:
            raise ValueError(
                f"`{argument}` is {value!r}; allowed is `final_learning_rate` "
                f"({self.final_learning_rate}) or more."
            )
        return float(value)


def _checked_xi(argument: str, value: float | None) -> float | None:
    return None if value is None else checked_positive(argument, value)
