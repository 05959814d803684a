"""BANANAS on a function of the cell that needs no training: how many convolutions it has."""

from __future__ import annotations

import optuna
import optunahub

from optuna_nas.spaces import NASBench201Space

space = NASBench201Space()


def objective(trial: optuna.Trial) -> float:
    """Count the 3x3 convolutions of the suggested cell."""
    return str(space.suggest(trial)).count("nor_conv_3x3")


if __name__ == "__main__":
    module = optunahub.load_local_module("samplers/bananas", registry_root=".")
    study = optuna.create_study(direction="maximize", sampler=module.BananasSampler(seed=0))
    study.optimize(objective, n_trials=30)
    print(space.architecture(study.best_params))
