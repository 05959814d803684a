"""Architectures measured with the weights of a trained supernet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from optuna_nas.supernets import RelaxedNetwork

if TYPE_CHECKING:
    from optuna_nas.methods.engine import Batch, Engine
    from optuna_nas.spaces import Architecture


class SharedWeights:
    """The held-out images and the weights of a search.

    Args:
        search: The search.

    Attributes:
        batches: The held-out images in batches, in order; a last one of one image is left out.
        rng: A source of randomness, the same for a search of the same seed.
    """

    def __init__(self, search: Engine) -> None:
        size = search.method.schedule.batch_size
        images, labels = search.held_out.images, search.held_out.labels
        parts = zip(torch.split(images, size), torch.split(labels, size), strict=True)
        self.batches: list[Batch] = [(x, y) for x, y in parts if len(y) > 1]
        self.rng = np.random.default_rng(search.generator.initial_seed())
        self._supernet = search.supernet

    def accuracy(
        self, architecture: Architecture, batches: Sequence[Batch] | None = None
    ) -> float:
        """The share of held-out images whose class is predicted, from 0 to 1.

        Args:
            architecture: The architecture.
            batches: Some of the batches; None for all.
        """
        weights = self._supernet.encode(architecture)
        network = RelaxedNetwork(self._supernet, weights, batch_statistics=True)
        chosen = self.batches if batches is None else batches
        with torch.no_grad():
            right = sum(_right(network(images), labels) for images, labels in chosen)
        return right / sum(len(y) for _, y in chosen)


def _right(outputs: torch.Tensor, labels: torch.Tensor) -> int:
    """How many images have their class predicted; outputs that are not finite predict none."""
    found = (outputs.argmax(dim=1) == labels) & outputs.isfinite().all(dim=1)
    return int(found.sum())
