"""Any function of an architecture is an objective: here, one that needs no training."""

from __future__ import annotations

import optuna

import optuna_nas as nas

space = nas.spaces.NASBench101Space()


def objective(trial: optuna.Trial) -> float:
    """Reward 3x3 convolutions on many different paths."""
    architecture = space.suggest(trial)
    return len(
        {p.operations for p in space.paths(architecture) if "conv3x3-bn-relu" in p.operations}
    )


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler(seed=0))
    study.optimize(objective, n_trials=100)
    print(space.architecture(study.best_params), study.best_value)
