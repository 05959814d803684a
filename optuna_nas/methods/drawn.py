"""Architectures that are drawn from a space, in place of parameters that are learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from optuna_nas.supernets import Supernet, Weights

_EVALUATED = 8


class DrawnArchitectures(nn.Module):
    """A random architecture of the space for each step.

    Args:
        supernet: The supernet.
        generator: Where the architectures that the supernet is evaluated with are drawn from.
    """

    def __init__(self, supernet: Supernet, generator: torch.Generator) -> None:
        super().__init__()
        self._space = supernet.space
        self._encode = supernet.encode  # the network is no part of this one
        drawn = [self(generator, 0.0) for _ in range(_EVALUATED)]
        self._kinds = tuple(supernet.edges)
        for kind in self._kinds:  # N edges operations
            self.register_buffer(kind, torch.stack([weights[kind] for weights in drawn]))

    def forward(self, generator: torch.Generator, progress: float) -> Weights:
        """The weights of a random architecture."""
        seed = int(torch.randint(2**31, (), generator=generator))
        return self._encode(self._space.random(np.random.default_rng(seed)))

    def strengths(self) -> Weights:
        """How often each operation is drawn among those to evaluate with: nothing is learnt."""
        return {kind: self.get_buffer(kind).mean(dim=0) for kind in self._kinds}

    def evaluated(self) -> list[Weights]:
        """Some random architectures, always the same."""
        return [
            {kind: self.get_buffer(kind)[number] for kind in self._kinds}
            for number in range(_EVALUATED)
        ]
