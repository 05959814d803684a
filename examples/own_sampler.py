"""A sampler of one's own: simulated annealing.

From the command line, in the folder of this file; the same command goes on after a crash:

    optuna-nas search --sampler own_sampler:Annealing --data digits --trials 30
    optuna-nas report
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import optuna

import optuna_nas as nas
from optuna_nas.samplers import ArchitectureSampler, Proposal, Request


class Annealing(ArchitectureSampler):
    """Walk from mutant to mutant: to better ones always, to worse ones less and less often.

    Nothing is kept: where the walk stands is replayed from the trials in the order they ended.

    Args:
        space: The search space; None finds it on the study.
        temperature: By how much the value may be worse, at first.
        cooling: What is left of the temperature after each trial.
        seed: Seed of all randomness.
    """

    def __init__(
        self,
        space: nas.spaces.SearchSpace | None = None,
        *,
        temperature: float = 0.05,
        cooling: float = 0.97,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, seed=seed)
        self._temperature, self._cooling = temperature, cooling

    def propose(self, request: Request) -> Iterator[Proposal]:
        """Yield mutants of where the walk stands; values are "lower is better" here."""
        rng, current, temperature = request.rng(0), None, self._temperature
        for trial in sorted(request.history.completed, key=lambda trial: trial.completed):
            worse = 0.0 if current is None else trial.values[0] - current.values[0]
            if rng.random() < math.exp(min(-worse / temperature, 0.0)):
                current = trial
            temperature *= self._cooling
        while current is not None:
            mutant = request.space.mutate(current.architecture, rng)
            yield Proposal(mutant, parent=current.number, notes={"temperature": temperature})


if __name__ == "__main__":
    space = nas.spaces.NASBench201Space()
    study = optuna.create_study(direction="maximize", sampler=Annealing(seed=0))
    study.optimize(nas.objectives.CellCNN(space, "digits", epochs=5, channels=8, cells=1), 10)
    print(space.architecture(study.best_params), study.best_value)
