"""A supernet with given weights of its operations: a network of images, to evaluate."""

from __future__ import annotations

import torch
from torch import nn

from optuna_nas.supernets.supernet import Supernet, Weights, frozen_statistics


class RelaxedNetwork(nn.Module):
    """A supernet with given weights of its operations.

    Args:
        supernet: The supernet.
        weights: The weight of each operation on each edge, by kind of cell.
        batch_statistics: Whether batch norm takes the statistics of each batch, in evaluation
            mode too; the running ones stay as they are.
    """

    def __init__(
        self, supernet: Supernet, weights: Weights, *, batch_statistics: bool = False
    ) -> None:
        super().__init__()
        self.supernet = supernet
        self._weights = weights
        self._batch_statistics = batch_statistics

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images `B C H W` to logits `B num_classes`."""
        logits: torch.Tensor
        if not self._batch_statistics:
            logits = self.supernet(images, self._weights)
            return logits
        self.supernet.train()
        with frozen_statistics(self.supernet):
            logits = self.supernet(images, self._weights)
        return logits
