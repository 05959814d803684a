"""A measure: one number of a network, with a name, a unit and a direction.

A new measure is one file with a :class:`Measure` in it and a line that names it in
:mod:`optuna_nas.measures.names`; from then on every objective can log, optimise and limit it. One
of one's own needs neither: it is given itself, or as `module:object` on the command line. The
modules of measures import torch in functions only, so that `--help` answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import torch
    from optuna.study import StudyDirection
    from torch import nn

__all__ = ["Inputs", "Measure", "Reading", "device_of", "forward"]

Inputs: TypeAlias = Any
"""What a network is called with for one example: a tensor `1 ...`, or keyword arguments."""


class Reading(NamedTuple):
    """What was measured.

    Attributes:
        value: The number, in the unit of the measure.
        spread: How far repetitions were from it, in the same unit; None if it is exact.
    """

    value: float
    spread: float | None = None


@dataclass(frozen=True)
class Measure:
    """A number of a network.

    Attributes:
        name: What it is called: a user attribute, and the goal or limit, has this name.
        function: Measures a network in evaluation mode, without gradients, given the inputs of one
            example on its device. It returns a number or a :class:`Reading`.
        unit: The unit, as it stands behind a number; empty for counts.
        direction: Whether less or more of it is better: `"minimize"` or `"maximize"`.
        summary: What it is, in a few words.
        additive: Whether that of a network is the sum over its parts, so that a table of what
            operations cost makes sense.
        trained: Whether it depends on what was learnt. What does not is measured before the
            training, so that a network over a limit need not be trained.

    Raises:
        ValueError: The name cannot be that of an attribute, or the direction is none.

    Example:
        >>> layers = Measure("layers", lambda network, inputs: len(list(network.modules())))
    """

    name: str
    function: Callable[[nn.Module, Inputs], float | Reading]
    unit: str = ""
    direction: Literal["minimize", "maximize"] = "minimize"
    summary: str = ""
    additive: bool = True
    trained: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(
                f"`name` is {self.name!r}; allowed are letters, digits and underscores."
            )
        if self.direction not in ("minimize", "maximize"):
            raise ValueError(
                f"`direction` is {self.direction!r}; allowed are 'minimize' and 'maximize'."
            )

    @property
    def study_direction(self) -> StudyDirection:
        """The direction as Optuna has it."""
        from optuna.study import StudyDirection

        return StudyDirection[self.direction.upper()]

    def __call__(self, network: nn.Module, inputs: Inputs) -> float:
        """Measure a network; see :meth:`read`."""
        return self.read(network, inputs).value

    def read(self, network: nn.Module, inputs: Inputs) -> Reading:
        """Measure a network, which is left as it was.

        Args:
            network: The network.
            inputs: What it is called with for one example, on its device.

        Raises:
            UserError: This machine cannot measure it.
            ValueError: What the function returns is no finite number.
        """
        import torch

        from optuna_nas.networks.measure import evaluating

        with evaluating(network), torch.no_grad():
            found = self.function(network, inputs)
        reading = found if isinstance(found, Reading) else Reading(found)
        try:
            value = float(reading.value)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"The measure {self.name!r} returned {reading.value!r}; allowed are finite "
                "numbers."
            )
        return Reading(value, reading.spread)


def forward(network: nn.Module, inputs: Inputs) -> Any:
    """Call a network with its inputs, by keyword if they are a mapping."""
    return network(**inputs) if isinstance(inputs, Mapping) else network(inputs)


def device_of(inputs: Inputs) -> torch.device:
    """The device that the inputs are on."""
    first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
    device: torch.device = first.device
    return device
