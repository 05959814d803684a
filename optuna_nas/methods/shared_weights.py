"""Architectures measured with the weights of a trained supernet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from optuna_nas.supernets import RelaxedNetwork

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
        self._score = search.task.score

    def merit(self, architecture: Architecture, batches: Sequence[Batch] | None = None) -> float:
        """The score on held-out examples, negated if less of it is better.

        Args:
            architecture: The architecture.
            batches: Some of the batches; None for all.
        """
        weights = self._supernet.encode(architecture)
        network = RelaxedNetwork(self._supernet, weights, batch_statistics=True)
        chosen = self.batches if batches is None else batches
        with torch.no_grad():
            value = self._score.measure((network(x), y) for x, y in chosen).value
        return self._score.sign * value if math.isfinite(value) else -math.inf
