"""What is measured of the network of one trial.

1. What does not depend on the training is measured before it.
2. A network over a limit is not trained: its trial is pruned. It has its constraints, which tell
   samplers by how much it is over, and no values.
3. The rest is measured after the training.

User attributes have the numbers, those that have a spread also as `<name>_spread`, and one of the
study has their units. A trial that goes on after an interruption keeps what it had measured.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import optuna
import torch
from torch.utils._pytree import tree_map

from optuna_nas._units import remember_units
from optuna_nas.measures.measure import Inputs, Measure, device_of

if TYPE_CHECKING:
    from torch import nn

    from optuna_nas.measures.goals import Goals
    from optuna_nas.trials import TrialRun

__all__ = ["Measurements"]


class Measurements:
    """Measures the network of one trial, logs what comes out, and sets the constraints.

    Args:
        goals: The goals, measures and limits.
        run: The trial.
        device: Where is measured; None for where the network is.

    Attributes:
        found: What was measured, by name.
    """

    def __init__(
        self,
        goals: Goals,
        run: TrialRun,
        device: torch.device | None = None,
    ) -> None:
        self.found: dict[str, float] = {}
        self._goals = goals
        self._run = run
        self._device = device
        remember_units(run.trial, {m.name: m.unit for m in goals.measures.values()})

    @property
    def wanted(self) -> bool:
        """Whether anything is to be measured."""
        return bool(self._goals.measures)

    def before_training(self, network: nn.Module, inputs: Inputs) -> None:
        """Measure what does not depend on the training.

        Args:
            network: The network.
            inputs: What it is called with for one example, on its device.

        Raises:
            optuna.TrialPruned: The network is over a limit.
            UserError: This machine cannot measure something.
        """
        early = [measure for measure in self._goals.measures.values() if not measure.trained]
        self._take(early, network, inputs)
        if over := [self._in_words(name) for name in self._goals.limits if self._is_over(name)]:
            raise optuna.TrialPruned(f"Not trained: {'; '.join(over)}.")

    def after_training(self, network: nn.Module, inputs: Inputs) -> None:
        """Measure what is left; see :meth:`before_training`.

        Raises:
            UserError: This machine cannot measure something.
        """
        known = self.found
        self._take(
            [m for m in self._goals.measures.values() if m.name not in known], network, inputs
        )

    def values(self, learned: Mapping[str, float]) -> tuple[float, ...]:
        """The value of each goal.

        Args:
            learned: The learned values by name.
        """
        return self._goals.values(learned, self.found)

    def _take(self, measures: Collection[Measure], network: nn.Module, inputs: Inputs) -> None:
        before = {measure.name: self._run.recall(measure.name) for measure in measures}
        self.found |= {name: float(value) for name, value in before.items() if value is not None}
        new = [measure for measure in measures if before[measure.name] is None]
        if new and self._device not in (None, device_of(inputs)):
            network = copy.deepcopy(network).to(self._device)
            inputs = tree_map(lambda tensor: tensor.to(self._device), inputs)
        for measure in new:
            reading = measure.read(network, inputs)
            self.found[measure.name] = reading.value
            self._run.log(**{measure.name: _whole(reading.value)})
            if reading.spread is not None:
                self._run.log(**{f"{measure.name}_spread": reading.spread})
        for name in self._goals.limits.keys() & before.keys():
            self._run.constrain(name, self._goals.excess(name, self.found[name]))

    def _is_over(self, name: str) -> bool:
        return name in self.found and self._goals.excess(name, self.found[name]) > 0

    def _in_words(self, name: str) -> str:
        measure, limit = self._goals.measures[name], self._goals.limits[name]
        side = "least" if measure.direction == "maximize" else "most"
        value = f"{_whole(self.found[name]):,} {measure.unit}".rstrip()
        return f"{name} is {value}, and the {side} that is allowed is {_whole(limit):,}"


def _whole(value: float) -> float:
    """Counts as integers."""
    return int(value) if value.is_integer() else value
