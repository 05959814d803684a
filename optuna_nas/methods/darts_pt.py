"""DARTS-PT: operations chosen by how much the supernet misses them.

After a search by DARTS the sizes of its parameters are not looked at. Instead

1. in random order, each edge keeps the operation without which the supernet is worst on held-out
   images; after each choice the weights of the supernet are trained for some epochs;
2. then, in random order, each node that has more inputs than the space allows loses the input
   without which the supernet is best, until it has as many.

Reference: R. Wang et al., "Rethinking Architecture Selection in Differentiable NAS", ICLR 2021,
arXiv:2108.04392.

*Departures*: of equal accuracies the smaller loss counts. The parameters of the architecture are
not trained on while the supernet is. The supernet that is trained on is a copy, which is thrown
away. The learning rate falls from a tenth of that of the search to its last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from optuna_nas._options import check_options, option
from optuna_nas.methods.darts import DARTS

if TYPE_CHECKING:
    import numpy as np
    import torch

    from optuna_nas.methods.engine import Engine
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Supernet, Weights

    Merit: TypeAlias = Callable[[Weights], tuple[float, float]]


@dataclass(frozen=True)
class ByPerturbation:
    """What the supernet misses most is kept.

    Attributes:
        tuning_epochs: Epochs after each choice.

    Raises:
        ValueError: It is negative.
    """

    tuning_epochs: int = option(10, "Epochs that the supernet tunes after a choice.", minimum=0)

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, search: Engine) -> Architecture:
        """Choose the operations, and then the inputs."""
        import torch

        from optuna_nas.methods.shared_weights import SharedWeights

        supernet, device = search.supernet, search.weights[0].device
        strengths = {kind: w.to(device) for kind, w in search.strengths().items()}
        rng = SharedWeights(search).rng
        schedule = search.method.schedule
        first = max(schedule.learning_rate / 10, schedule.final_learning_rate)
        choices = sum(len(edges) for edges in supernet.edges.values())
        tuned = search.branch(
            replace(
                search.method,
                step=None,
                schedule=replace(
                    schedule, epochs=max(self.tuning_epochs * choices, 1), learning_rate=first
                ),
            ),
            _GivenWeights(strengths),
            torch.Generator().manual_seed(int(rng.integers(2**31))),
        )
        tuned.supernet.plain = None  # whatever is faster
        tuned.supernet.sampled = True
        shared = SharedWeights(tuned)

        def tune(weights: Weights) -> None:
            tuned.architecture.weights = weights
            for _ in range(self.tuning_epochs):
                tuned.train_epoch()

        return supernet.derive(project(supernet, strengths, shared.merit_and_loss, tune, rng))


class _GivenWeights:
    """Weights of operations that are not learnt."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def __call__(self, generator: torch.Generator, progress: float) -> Weights:
        return self.weights

    def strengths(self) -> Weights:
        return self.weights

    def evaluated(self) -> list[Weights]:
        return [self.weights]

    def parameters(self) -> list[torch.Tensor]:
        return []


def project(
    supernet: Supernet,
    weights: Weights,
    merit: Merit,
    tune: Callable[[Weights], None],
    rng: np.random.Generator,
) -> Weights:
    """Choose one operation for each edge, and as many inputs for each node as the space allows.

    Args:
        supernet: The supernet.
        weights: The weights of the operations that it was trained with.
        merit: How good the supernet is with given weights.
        tune: Trains the supernet with given weights; called after each choice of an operation.
        rng: Where the order comes from.

    Returns:
        Weights of one and zero.
    """
    weights = {kind: w.detach().clone() for kind, w in weights.items()}
    columns = [
        column
        for column, name in enumerate(supernet.operations)
        if name not in supernet.never_derived
    ]
    places = [(kind, row) for kind, edges in supernet.edges.items() for row in range(len(edges))]
    for kind, row in (places[i] for i in rng.permutation(len(places))):
        merits = {c: merit(_without(weights, kind, row, c)) for c in columns}
        missed = min(columns, key=lambda column: merits[column])
        weights[kind][row] = 0.0
        weights[kind][row, missed] = 1.0
        tune(weights)
    allowed = supernet.encode(supernet.derive(weights))
    nodes = [
        (kind, node)
        for kind, edges in supernet.edges.items()
        for node in dict.fromkeys(target for _, target in edges)
    ]
    for kind, node in (nodes[i] for i in rng.permutation(len(nodes))):
        rows = [row for row, (_, end) in enumerate(supernet.edges[kind]) if end == node]
        count = int(allowed[kind][rows].sum())
        while len(rows) > count:
            merits = {row: merit(_without(weights, kind, row)) for row in rows}
            spare = max(rows, key=lambda row: merits[row])
            weights[kind][spare] = 0.0
            rows.remove(spare)
    return weights


def _without(
    weights: Weights, kind: str, row: int, column: int | None = None
) -> dict[str, torch.Tensor]:
    """Weights without one operation of an edge, or without the edge."""
    changed = {name: w.clone() for name, w in weights.items()}
    changed[kind][row, slice(None) if column is None else column] = 0.0
    return changed


DARTS_PT = replace(
    DARTS,
    name="darts_pt",
    summary="DARTS, with operations chosen by how much the supernet misses them",
    selection=ByPerturbation(),
    small={**DARTS.small, "tuning_epochs": 1},
)
