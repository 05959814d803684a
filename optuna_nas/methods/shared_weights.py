"""Architectures measured with the weights of a trained supernet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from optuna_nas.supernets import RelaxedNetwork, Weights

if TYPE_CHECKING:
    from optuna_nas.methods.engine import Batch, Engine
    from optuna_nas.spaces import Architecture


class SharedWeights:
    """The held-out examples and the weights of a search.

    Args:
        search: The search.

    Attributes:
        batches: The held-out examples in batches, in order; a last one of one example is left out.
        rng: A source of randomness, the same for a search of the same seed.
    """

    def __init__(self, search: Engine) -> None:
        size = search.method.schedule.batch_size
        inputs, targets = search.held_out.inputs, search.held_out.targets
        parts = zip(torch.split(inputs, size), torch.split(targets, size), strict=True)
        self.batches: list[Batch] = [(x, y) for x, y in parts if len(y) > 1]
        self.rng = np.random.default_rng(search.generator.initial_seed())
        self._supernet = search.supernet
        self._score, self._loss = search.task.score, search.task.loss

    def merit(self, architecture: Architecture, batches: Sequence[Batch] | None = None) -> float:
        """The score on held-out examples, negated if less of it is better.

        Args:
            architecture: The architecture.
            batches: Some of the batches; None for all.
        """
        outputs = self._outputs(self._supernet.encode(architecture), batches)
        return self._merit(outputs)

    def merit_and_loss(self, weights: Weights) -> tuple[float, float]:
        """The merit of given weights of the operations, and minus the mean loss."""
        outputs = list(self._outputs(weights, None))
        losses = [float(self._loss(found, y)) * len(y) for found, y in outputs]
        return self._merit(outputs), -sum(losses) / sum(len(y) for _, y in outputs)

    def _outputs(self, weights: Weights, batches: Sequence[Batch] | None) -> Iterator[Batch]:
        network = RelaxedNetwork(self._supernet, weights, batch_statistics=True)
        for inputs, targets in self.batches if batches is None else batches:
            with torch.no_grad():
                yield network(inputs), targets

    def _merit(self, outputs: Iterable[Batch]) -> float:
        value = self._score.measure(outputs).value
        return self._score.sign * value if math.isfinite(value) else -math.inf
