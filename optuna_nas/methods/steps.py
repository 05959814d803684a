"""How the architecture moves along a gradient of its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive
from optuna_nas._options import check_options, option

if TYPE_CHECKING:
    from torch import Tensor

    from optuna_nas.methods.engine import Batch, Engine


@dataclass(frozen=True)
class Bilevel:
    """The architecture's step on held-out images, of the first or of the second order.

    Attributes:
        order: 1, or 2 to look ahead along the weights' next step.
        xi: The length of the step to look ahead; None for the learning rate of the weights.

    Raises:
        ValueError: A number is out of range, or the first order is to look ahead.
    """

    order: int = option(
        1, "1, or 2 to look one step of the weights ahead.", minimum=1, maximum=2, tunable=True
    )
    xi: float | None = option(
        None,
        "How far order 2 looks ahead; the learning rate if unset.",
        kind=float,
        check=checked_positive,
        tunable=True,
        needs=("order", 2),
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.xi is not None and self.order == 1:
            raise ValueError(
                f"`xi` is {self.xi!r}, but `order` is {self.order!r}; allowed is None, or "
                "`order=2`: the first order does not look ahead."
            )

    def __call__(self, search: Engine, batch: Batch) -> None:
        """Move the architecture along its gradient at a batch of held-out images."""
        search.move(self.gradients(search, batch))

    def gradients(self, search: Engine, batch: Batch) -> list[Tensor]:
        """The gradient at a batch of held-out images; see `bilevel`."""
        from optuna_nas.methods.bilevel import Unrolled, architecture_gradient
        from optuna_nas.supernets import frozen_statistics

        held_out = search.draw_held_out()
        noise = search.draw_noise()  # the second order compares losses of one sample
        unrolled = None
        if self.order == 2:
            xi = search.learning_rate if self.xi is None else self.xi
            unrolled = Unrolled.of(search.weight_optimizer, xi)
        with frozen_statistics(search.supernet):
            return architecture_gradient(
                search.alphas,
                search.weights,
                validation_loss=lambda: search.architecture_loss(held_out, noise),
                training_loss=lambda: search.loss(batch, search.sample(noise)),
                unrolled=unrolled,
            )


@dataclass(frozen=True)
class SameBatch:
    """The architecture's step on the batch of training images: there is one level only."""

    def __call__(self, search: Engine, batch: Batch) -> None:
        """Move the architecture along its gradient at the batch."""
        from optuna_nas.methods.bilevel import constant, gradients_of
        from optuna_nas.supernets import frozen_statistics

        with frozen_statistics(search.supernet), constant(search.weights):
            loss = search.architecture_loss(batch, search.draw_noise())
            search.move(gradients_of(loss, search.alphas))
