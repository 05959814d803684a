"""From a number of shared edges to an architecture: the hypernetwork of EdgeNES.

The hypernetwork maps λ in [0, Λ] to the parameters of an architecture that is to share λ edges
with the optimum: all of them at λ = Λ, none at λ = 0. It is trained in place of the parameters of
one architecture (see `methods.engine`). In each step

1. λ is drawn from U(-margin, Λ + margin): without the margin the two ends would hardly be learnt;
2. the supernet's loss is that with the architecture of this λ;
3. the hypernetwork's loss is that on held-out images plus C·(λ - count)², where the count is the
   soft count of the edges shared with the optimum (see `shared_edges`).

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.

*Departures*: the slides print the penalty with a minus, with which the loss has no lower bound;
the paper and the code have a plus. The step of the supernet's weights draws a λ of its own. Weight
and temperature of the penalty change with every step, not with every epoch. Spaces other than
EdgeNESSpace are not published; `shared_edges` says how their counts differ from what is derived.
"""

from __future__ import annotations

import torch
from torch import nn

from optuna_nas._checks import checked_share
from optuna_nas.methods.edge_nes.piecewise_linear import PiecewiseLinear
from optuna_nas.methods.edge_nes.shared_edges import SharedEdges
from optuna_nas.methods.edge_penalty import EdgePenalty
from optuna_nas.methods.parameters import switch


class ArchitectureHypernetwork(nn.Module):
    """Architectures by the number of edges that they share with an optimum.

    It stands where `ArchitectureParameters` do in the search of a single architecture.

    Args:
        shared: The edges of the optimum.
        generator: Where the initial parameters are drawn from.
        penalty: The penalty and its warm-up; None for the published one.
        pivots: The number of pivots of the curve.
        margin: How far λ is drawn beyond both ends.

    Attributes:
        shared: The edges of the optimum.
        curve: The curve of all parameters, those of the operations first.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        shared: SharedEdges,
        *,
        generator: torch.Generator,
        penalty: EdgePenalty | None = None,
        pivots: int = 5,
        margin: float = 0.2,
    ) -> None:
        super().__init__()
        self.shared = shared
        self._penalty = EdgePenalty() if penalty is None else penalty
        self._margin = checked_share("margin", margin)
        columns = len(shared.operations)
        self._shapes = [
            *((kind, (len(edges), columns)) for kind, edges in shared.edges.items()),
            *((kind, (len(edges),)) for kind, edges in shared.edges.items()),
        ]
        size = sum(len(edges) * (columns + 1) for edges in shared.edges.values())
        self.curve = PiecewiseLinear(shared.total, size, pivots=pivots, generator=generator)

    def logits(
        self, position: torch.Tensor | float
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """The parameters of the operations and those of the edges at λ.

        Returns:
            For each kind of cell `edges operations`, and `edges`.
        """
        parts = self.curve(position).split([torch.Size(s).numel() for _, s in self._shapes])
        shaped = [
            (kind, part.view(shape))
            for (kind, shape), part in zip(self._shapes, parts, strict=True)
        ]
        kinds = len(self.shared.edges)
        return dict(shaped[:kinds]), dict(shaped[kinds:])

    def weights(self, position: torch.Tensor | float) -> dict[str, torch.Tensor]:
        """The weights of the operations at λ: for each kind of cell `edges operations`."""
        operations, switches = self.logits(position)
        return {
            kind: logits.softmax(dim=1) * switch(switches[kind], self.shared.edges[kind])[:, None]
            for kind, logits in operations.items()
        }

    def forward(self, generator: torch.Generator, progress: float) -> dict[str, torch.Tensor]:
        """The weights for one step of a training, at a λ that the generator draws.

        Args:
            generator: Where random numbers come from, on the CPU.
            progress: How much of the training is over, from 0 to 1.

        Returns:
            For each kind of cell `edges operations`.
        """
        return self.weights(self.draw(generator))

    def strengths(self) -> dict[str, torch.Tensor]:
        """The weights at λ = Λ, where all edges of the optimum are shared."""
        return self.evaluated()[-1]

    def evaluated(self) -> list[dict[str, torch.Tensor]]:
        """The weights at both ends and in the middle."""
        with torch.no_grad():
            return [self.weights(self.curve.length * share) for share in (0.0, 0.5, 1.0)]

    def penalty(self, generator: torch.Generator, progress: float) -> torch.Tensor:
        """The penalty at the λ that :meth:`forward` draws with a generator in the same state."""
        position = self.draw(generator)
        operations, switches = self.logits(position)
        temperature = self._penalty.temperature_at(progress)
        count = self.shared.soft(operations, switches, temperature, generator)
        return self._penalty.weight_at(progress) * (position - count) ** 2

    def draw(self, generator: torch.Generator) -> float:
        """Draw a λ for a step: uniform, the margin included."""
        uniform = float(torch.rand((), generator=generator, dtype=torch.float64))
        return (self.curve.length + 2 * self._margin) * uniform - self._margin
