"""The expected cost of an architecture: what its operations cost, times their weights.

The cost of an architecture is the sum of what its operations cost in their places, plus what all
networks of the supernet cost. So the expected cost under weights w is linear in them,

    base + Σ w·cost,

its gradient is the table of costs, and at one-hot weights it is the sum that the table gives. What
an operation costs is counted (multiply-accumulates, parameters), or read from a table that was
measured where the network is to run.

A regulariser that pays for costs is a subclass of :class:`ExpectedCost` which says how the cost is
set against the loss. :class:`PricedCost` adds it; the publications have losses of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optuna_nas._checks import checked_positive
from optuna_nas._options import check_options, option

if TYPE_CHECKING:
    import torch
    from torch import nn

    from optuna_nas.methods.engine import Engine
    from optuna_nas.supernets import Supernet, Weights


@dataclass(frozen=True)
class CostOf:
    """The cost of the operations of one supernet.

    Attributes:
        table: For each kind of cell what each operation on each edge costs, `edges operations`,
            in all copies of the cell together.
        base: What every network costs besides.
    """

    table: Mapping[str, torch.Tensor]
    base: float = 0.0

    def __call__(self, weights: Weights) -> torch.Tensor:
        """The expected cost, a scalar.

        Args:
            weights: For each kind of cell `edges operations`, or with an axis of images before:
                then it is the mean over them.
        """
        found: torch.Tensor = sum(
            (w * self.table[kind].to(w)).sum(dim=(-2, -1)).mean() for kind, w in weights.items()
        )  # type: ignore[assignment]
        return found + self.base

    @property
    def largest(self) -> float:
        """The cost with the dearest operation on every edge."""
        return self.base + float(sum(costs.amax(dim=1).sum() for costs in self.table.values()))


def checked_costs(name: str, value: str) -> str:
    """Return what is paid for, if it is counted or a table that can be read.

    Raises:
        ValueError: It is not.
    """
    if value in _COUNTED:
        return value
    from optuna_nas.measures import read_cost_table  # it needs numpy, which help does not

    try:
        read_cost_table(value)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` is {value!r}; allowed are {sorted(_COUNTED)} and the path of a table of "
            f"costs ({error})."
        ) from error
    return value


def costs_option() -> Any:
    """What is paid for, as a field of a dataclass."""
    text = "What is paid for: macs, parameters, or the path of a table of costs."
    return option("macs", text, check=checked_costs)


@dataclass(frozen=True, kw_only=True)
class ExpectedCost(ABC):
    """A loss of the architecture that is paid for costs.

    Attributes:
        costs: `"macs"` or `"parameters"`, or the path of a table (see `measures.cost_table`).
        digest: What tells the table from others; empty for costs that are counted.

    Raises:
        ValueError: It is something else, or the table cannot be read.
    """

    costs: str = costs_option()
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        check_options(self)
        if self.costs not in _COUNTED:
            from optuna_nas.measures import read_cost_table

            object.__setattr__(self, "digest", read_cost_table(self.costs).digest)

    def __call__(
        self, loss: torch.Tensor, weights: Weights, search: Engine, generator: torch.Generator
    ) -> torch.Tensor:
        """The loss to minimise."""
        known = search.cost_of(self.costs)
        return self.paid(loss, known(weights), known.largest)

    @abstractmethod
    def paid(self, loss: torch.Tensor, cost: torch.Tensor, largest: float) -> torch.Tensor:
        """Set the cost against the loss.

        Args:
            loss: The loss of the task.
            cost: The expected cost.
            largest: That with the dearest operation on every edge.
        """


@dataclass(frozen=True, kw_only=True)
class PricedCost(ExpectedCost):
    """The loss plus a price times the cost, as a share of the largest one; or near to a target.

    Attributes:
        price: What the whole cost adds to the loss; with a target, what a cost adds that is twice
            the target.
        target_cost: The share of the largest cost to come close to, from both sides; None to save.

    Raises:
        ValueError: A number is not positive.
    """

    price: float = option(
        0.1, "What the largest cost adds to the loss.", tunable=True, check=checked_positive
    )
    target_cost: float | None = option(
        None,
        "Share of the largest cost to come close to.",
        kind=float,
        tunable=True,
        check=checked_positive,
    )

    def paid(self, loss: torch.Tensor, cost: torch.Tensor, largest: float) -> torch.Tensor:
        """The loss plus the price of the share, or of how far it is from the target."""
        share = cost / largest
        if self.target_cost is not None:
            share = (share / self.target_cost - 1).abs()
        return loss + self.price * share


def cost_of(costs: str, supernet: Supernet, image_shape: tuple[int, ...]) -> CostOf:
    """The cost of the operations of a supernet.

    Args:
        costs: `"macs"` or `"parameters"`, or the path of a table.
        supernet: The supernet.
        image_shape: The axes `(C, H, W)` of an image.

    Raises:
        ValueError: The table lacks a place or an operation.
    """
    import torch

    from optuna_nas.measures import read_cost_table

    if costs not in _COUNTED:
        known = read_cost_table(costs)
        found = known.costs(supernet)
        return CostOf({kind: torch.from_numpy(c).float() for kind, c in found.items()}, known.base)
    count = _COUNTED[costs]
    like = next(supernet.parameters())
    table = {
        kind: torch.zeros(len(edges), len(supernet.operations))
        for kind, edges in supernet.edges.items()
    }
    counted: dict[tuple[object, ...], float] = {}
    for place in supernet.places(image_shape):
        for column, name in enumerate(supernet.operations):
            key = name, place.shape, repr(place.build)
            if key not in counted:
                with torch.device("meta"):  # nothing is drawn, nothing is computed
                    counted[key] = count(place.build(name), place.shape)
            table[place.kind][place.row, column] += counted[key]
    return CostOf({kind: own.to(like.device) for kind, own in table.items()})


def _macs(operation: nn.Module, shape: tuple[int, int, int]) -> float:
    from optuna_nas.networks import count_macs

    return count_macs(operation, shape)


def _parameters(operation: nn.Module, shape: tuple[int, int, int]) -> float:
    from optuna_nas.networks import count_parameters

    return count_parameters(operation)


_COUNTED: Mapping[str, Callable[[nn.Module, tuple[int, int, int]], float]] = {
    "macs": _macs,
    "parameters": _parameters,
}
