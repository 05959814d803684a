"""Regularised evolution on a function of the cell that needs no training: its convolutions."""

from __future__ import annotations

import optuna
import optunahub

from optuna_nas.spaces import NASBench201Space

space = NASBench201Space()


def objective(trial: optuna.Trial) -> float:
    """Count the 3x3 convolutions of the suggested cell."""
    return str(space.suggest(trial)).count("nor_conv_3x3")


if __name__ == "__main__":
    module = optunahub.load_local_module("samplers/regularized_evolution", registry_root=".")
    sampler = module.RegularizedEvolutionSampler(population_size=10, tournament_size=3, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=60)
    print(space.architecture(study.best_params))
