"""Random search with weight sharing.

1. In each step a random architecture of the space is drawn, and only its path of the supernet is
   computed and learnt.
2. In the end 1,000 random architectures are measured on one batch of held-out images, with the
   shared weights; the best 10 on all of them. The best one is kept.

Reference: L. Li, A. Talwalkar, "Random Search and Reproducibility for Neural Architecture Search",
UAI 2019, arXiv:1902.07638.

*Departures*: the published number of candidates is 1,000 for every 10,000 steps. Architectures are
measured with the statistics of each batch: the running ones are those of all paths together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna_nas._checks import checked_integer
from optuna_nas._options import check_options, option
from optuna_nas.methods.execution import SampledOperations
from optuna_nas.methods.method import Method
from optuna_nas.methods.schedule import Schedule

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.engine import Engine
    from optuna_nas.methods.shared_weights import SharedWeights
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Supernet


def drawn_architectures(method: Method, supernet: Supernet, generator: torch.Generator) -> Any:
    """A random architecture of the space for each step."""
    from optuna_nas.methods.drawn import DrawnArchitectures

    return DrawnArchitectures(supernet, generator)


@dataclass(frozen=True)
class BestOfRandom:
    """The best of random architectures, with the shared weights.

    Attributes:
        candidates: How many are drawn, and measured on one batch.
        finalists: How many of them are measured on all held-out images.

    Raises:
        ValueError: A number is not a positive integer, or there are more finalists.
    """

    candidates: int = option(1000, "Random architectures that are measured in the end.", minimum=1)
    finalists: int = option(10, "How many of them are measured on all images.", minimum=1)

    def __post_init__(self) -> None:
        check_options(self)
        checked_integer("finalists", self.finalists, 1, self.candidates)

    def __call__(self, search: Engine) -> Architecture:
        """Draw, measure and choose."""
        from optuna_nas.methods.shared_weights import SharedWeights

        shared = SharedWeights(search)
        drawn = self.drawn(search, shared)
        batch = shared.batches[int(shared.rng.integers(len(shared.batches)))]
        scores = [shared.merit(architecture, [batch]) for architecture in drawn]
        order = sorted(range(len(drawn)), key=lambda i: -scores[i])
        finalists = [drawn[i] for i in order[: self.finalists]]
        return max(finalists, key=lambda architecture: shared.merit(architecture))

    def drawn(self, search: Engine, shared: SharedWeights) -> list[Architecture]:
        """The candidates."""
        space = search.supernet.space
        return [space.random(shared.rng) for _ in range(self.candidates)]


RANDOM_WS = Method(
    name="random_ws",
    summary="random search with weight sharing",
    architecture=drawn_architectures,
    step=None,
    execution=SampledOperations(),
    selection=BestOfRandom(),
    schedule=Schedule(epochs=300),
    small={"epochs": 40, "batch_size": 32, "candidates": 200},
)
