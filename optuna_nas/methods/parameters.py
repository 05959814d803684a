"""The parameters of an architecture: free ones, apart from the weights of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import nn

from optuna_nas.methods.reinforce import Draws
from optuna_nas.methods.relaxation import Relaxation
from optuna_nas.supernets.plan import Edge
from optuna_nas.supernets.supernet import Weights

_INITIAL_SCALE = 1e-3


class ArchitectureParameters(nn.Module):
    """One free parameter for each operation on each edge, and on request for each edge.

    The weight of an operation is that of its edge, if edges have weights, times its own among the
    operations there. Cells of one kind share their parameters.

    Args:
        edges: The edges of each kind of cell (see `Supernet.edges`).
        operations: The operations on an edge.
        relaxation: How the parameters of an edge's operations become their weights.
        edge_weights: Whether the edges into a node have weights too, the softmax of a parameter
            each.
        generator: Where the initial parameters are drawn from, normal with deviation 0.001.
        samples: How many samples of a random relaxation are drawn at once, one for each image of
            a batch; None for one that all images have in common.
    """

    def __init__(
        self,
        edges: Mapping[str, Sequence[Edge]],
        operations: Sequence[str],
        *,
        relaxation: Relaxation,
        generator: torch.Generator,
        edge_weights: bool = False,
        samples: int | None = None,
    ) -> None:
        super().__init__()
        self.relaxation = relaxation
        self._samples = samples
        self._pairs = {kind: tuple(pairs) for kind, pairs in edges.items()}

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(_INITIAL_SCALE * torch.randn(*shape, generator=generator))

        self.operations = nn.ParameterDict(
            {kind: draw(len(pairs), len(operations)) for kind, pairs in edges.items()}
        )
        self.edges = nn.ParameterDict(
            {kind: draw(len(pairs)) for kind, pairs in edges.items() if edge_weights}
        )

    def forward(self, generator: torch.Generator, progress: float) -> dict[str, torch.Tensor]:
        """The weights for one step of a search.

        Args:
            generator: Where random numbers come from, on the CPU.
            progress: How much of the search is over, from 0 to 1.

        Returns:
            For each kind of cell `edges operations`, or `samples edges operations`.
        """
        found = {}
        for kind, logits in self.operations.items():
            many = logits if self._samples is None else logits.expand(self._samples, -1, -1)
            found[kind] = self._on_edges(kind, self.relaxation.weights(many, generator, progress))
        return found

    def draw(self, generator: torch.Generator, count: int) -> Draws:
        """Draw one operation of each edge, with its softmax probability.

        Args:
            generator: Where random numbers come from, on the CPU.
            count: How many times.
        """
        weights: list[dict[str, torch.Tensor]] = [{} for _ in range(count)]
        log_probabilities: list[torch.Tensor] = []
        entropies: list[torch.Tensor] = []
        for kind, logits in self.operations.items():
            logs = logits.log_softmax(dim=1)  # edges operations
            chances = logs.detach().exp()
            drawn = torch.multinomial(chances.cpu(), count, replacement=True, generator=generator)
            for sample, columns in zip(weights, drawn.to(logits.device).unbind(1), strict=True):
                sample[kind] = torch.zeros_like(chances).scatter_(1, columns[:, None], 1.0)
            log_probabilities.append(logs.gather(1, drawn.to(logits.device)).sum(dim=0))  # count
            entropies.append(-(chances * logs.detach()).sum().expand(count))
        return Draws(
            [*weights], torch.stack(log_probabilities).sum(0), torch.stack(entropies).sum(0)
        )

    def strengths(self) -> dict[str, torch.Tensor]:
        """The weights to evaluate and to choose by: without chance, and without gradients."""
        with torch.no_grad():
            return {
                kind: self._on_edges(kind, self.relaxation.strengths(logits))
                for kind, logits in self.operations.items()
            }

    def evaluated(self) -> list[Weights]:
        """The strengths: the supernet is evaluated with all of them at once."""
        return [self.strengths()]

    def _on_edges(self, kind: str, weights: torch.Tensor) -> torch.Tensor:
        if kind not in self.edges:
            return weights
        return weights * switch(self.edges[kind], self._pairs[kind])[:, None]


def switch(logits: torch.Tensor, edges: tuple[Edge, ...]) -> torch.Tensor:
    """The weights of edges: among those into the same node, the softmax of their parameters.

    Args:
        logits: The parameters, `edges`.
        edges: The edges, ordered by target.

    Returns:
        `edges`.
    """
    # The edges are ordered by target, so the nodes' edges in turn are all edges in order.
    return torch.cat([logits[rows].softmax(dim=0) for rows in rows_by_target(edges)])


@cache
def rows_by_target(edges: tuple[Edge, ...]) -> list[list[int]]:
    """For each node that edges run to, in order, the positions of these edges."""
    return [
        [row for row, (_, end) in enumerate(edges) if end == target]
        for target in sorted({target for _, target in edges})
    ]
