"""The architecture's numbers after every epoch: kept as an array, published, gone back to."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch

from optuna_nas.supernets import Weights


class Trajectory:
    """The strengths of the operations after each epoch, those before the first one included."""

    def __init__(self) -> None:
        self._strengths: list[Weights] = []

    def __len__(self) -> int:
        return len(self._strengths)

    def __getitem__(self, epochs: int) -> Weights:
        """The strengths after so many epochs; negative numbers count from the last one."""
        return self._strengths[epochs]

    def record(self, strengths: Weights) -> None:
        """Add the present strengths."""
        self._strengths.append({kind: s.detach().cpu() for kind, s in strengths.items()})

    def state(self) -> dict[str, torch.Tensor]:
        """All strengths, `epochs+1 edges operations` for each kind of cell."""
        return {
            kind: torch.stack([s[kind] for s in self._strengths]) for kind in self._strengths[0]
        }

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        count = len(next(iter(state.values())))
        self._strengths = [{kind: s[i] for kind, s in state.items()} for i in range(count)]

    def npz(self) -> bytes:
        """:meth:`state` as a file of NumPy, one array for each kind of cell."""
        file = io.BytesIO()
        arrays = {kind: strengths.numpy() for kind, strengths in self.state().items()}
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()
