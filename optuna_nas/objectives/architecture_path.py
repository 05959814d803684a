"""The way of an architecture through a search: what is recorded of it, and how it is shown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from optuna_nas.visualization.trajectories import trajectory_svg

if TYPE_CHECKING:
    from optuna_nas.methods import ArchitectureParameters
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Supernet


class ArchitecturePath:
    """The weights of the operations after each epoch, those before the first one included.

    Args:
        supernet: The supernet, which says what is derived from weights.
        parameters: Where the weights come from.
    """

    def __init__(self, supernet: Supernet, parameters: ArchitectureParameters) -> None:
        self._supernet = supernet
        self._parameters = parameters
        self._weights: list[dict[str, torch.Tensor]] = []

    def record(self) -> None:
        """Add the present weights."""
        self._weights.append({k: w.cpu() for k, w in self._parameters.strengths().items()})

    def state(self) -> dict[str, torch.Tensor]:
        """All weights, `epochs+1 edges operations` for each kind of cell."""
        return {k: torch.stack([w[k] for w in self._weights]) for k in self._weights[0]}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        count = len(next(iter(state.values())))
        self._weights = [{k: weights[i] for k, weights in state.items()} for i in range(count)]

    @property
    def architectures(self) -> list[Architecture]:
        """What would be derived after each epoch."""
        return [self._supernet.derive(weights) for weights in self._weights]

    def svg(self, title: str) -> str:
        """The picture of all weights."""
        weights = {kind: values.tolist() for kind, values in self.state().items()}
        return trajectory_svg(
            weights, self._supernet.edges, self._supernet.operations, title=title
        )

    def table(self, curve: Mapping[int, float]) -> str:
        """The derived architecture and the accuracy after each epoch, as CSV."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epochs", "validation accuracy", "architecture"])
        for epochs, architecture in enumerate(self.architectures):
            writer.writerow([epochs, curve.get(epochs - 1, ""), str(architecture)])
        return file.getvalue()
