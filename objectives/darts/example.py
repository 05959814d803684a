"""Two differentiable searches on handwritten digits, one for each order."""

from __future__ import annotations

import optuna
import optunahub
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import NASBench201Space

if __name__ == "__main__":
    module = optunahub.load_local_module("objectives/darts", registry_root=".")
    objective = module.Darts(
        NASBench201Space(),
        "digits",
        order=CategoricalDistribution([1, 2]),
        epochs=5,
        channels=4,
        cells=1,
        architecture_learning_rate=3e-3,
    )
    study = optuna.create_study(direction="maximize")
    for order in (1, 2):
        study.enqueue_trial({"order": order})
    study.optimize(objective, n_trials=2)
    print(study.best_trial.user_attrs["architecture"], study.best_value)
