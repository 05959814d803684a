"""Single-path one-shot: uniform paths, and an evolution that chooses among them.

1. In each step a random architecture of the space is drawn, and only its path of the supernet is
   computed and learnt, as in `random_ws`.
2. In the end a sampler of Optuna, an evolution unless told otherwise, proposes architectures,
   which are measured on held-out images with the shared weights. The best one is kept.

Reference: Z. Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling",
ECCV 2020, arXiv:1904.00420.

*Departures*: the steps of the weights are those of `random_ws`; the published ones are for
ImageNet. The evolution is regularised evolution. Architectures are measured with the statistics of
each batch, where running statistics are calibrated for each of them as published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optuna_nas._options import check_options, option
from optuna_nas.methods.random_ws import RANDOM_WS

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from optuna_nas.methods.engine import Engine
    from optuna_nas.spaces import Architecture


def regularized_evolution(seed: int) -> BaseSampler:
    """The evolution, of 50 architectures."""
    from optuna_nas.samplers import RegularizedEvolutionSampler

    return RegularizedEvolutionSampler(population_size=50, seed=seed)


@dataclass(frozen=True)
class BySampler:
    """The best of what a sampler of Optuna proposes, with the shared weights.

    Attributes:
        evaluations: How many architectures are measured.
        sampler: Makes the sampler, given a seed.

    Raises:
        ValueError: There are no evaluations.
    """

    evaluations: int = option(1000, "Architectures that are measured in the end.", minimum=1)
    sampler: Callable[[int], BaseSampler] = regularized_evolution

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, search: Engine) -> Architecture:
        """Let the sampler propose, measure and choose."""
        import optuna

        from optuna_nas.methods.shared_weights import SharedWeights

        shared = SharedWeights(search)
        space = search.supernet.space
        sampler = self.sampler(int(shared.rng.integers(2**31)))
        storage = optuna.storages.InMemoryStorage()
        name = "shared weights"
        storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], name)
        study = optuna.Study(name, storage, sampler=sampler)  # without a line in the log
        for _ in range(self.evaluations):
            trial = study.ask()
            study.tell(trial, shared.merit(space.suggest(trial)))
        return space.architecture(study.best_params)


SPOS = replace(
    RANDOM_WS,
    name="spos",
    summary="uniform single paths, chosen by an evolution on the shared weights",
    selection=BySampler(),
    small={"epochs": 40, "batch_size": 32, "evaluations": 200},
)
