"""How the penalty of EdgeNES changes in the course of a training."""

from __future__ import annotations

from dataclasses import dataclass

from optuna_nas._checks import checked_positive


@dataclass(frozen=True)
class EdgePenalty:
    """The penalty C·(λ - count)² on the number of shared edges, with its warm-up.

    Both numbers change linearly in the course of a training: at first the architectures are free
    to go where the loss is small, and the counts are smooth.

    Args:
        weight: The weight C at the beginning.
        final_weight: The weight at the end.
        temperature: The temperature of the samples at the beginning.
        final_temperature: The temperature at the end.

    Raises:
        ValueError: A number is not positive.
    """

    weight: float = 0.3
    final_weight: float = 3.0
    temperature: float = 1.0
    final_temperature: float = 0.05

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            checked_positive(name, value)

    def weight_at(self, progress: float) -> float:
        """The weight after this share of the training, from 0 to 1."""
        return self.weight + (self.final_weight - self.weight) * progress

    def temperature_at(self, progress: float) -> float:
        """The temperature after this share of the training, from 0 to 1."""
        return self.temperature + (self.final_temperature - self.temperature) * progress
