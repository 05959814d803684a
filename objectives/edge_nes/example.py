"""An ensemble of two networks for handwritten digits, out of three candidates."""

from __future__ import annotations

import optuna
import optunahub

from optuna_nas.objectives.edge_nes import HypernetworkSettings, SupernetSettings, TrainingSettings

if __name__ == "__main__":
    module = optunahub.load_local_module("objectives/edge_nes", registry_root=".")
    objective = module.EdgeNES(
        "digits",
        size=2,
        candidates=3,
        search=SupernetSettings(epochs=2, channels=2, architecture_learning_rate=3e-3),
        hypernetwork=HypernetworkSettings(epochs=2, channels=2, architecture_learning_rate=0.1),
        training=TrainingSettings(epochs=2, channels=4, cells=1),
    )
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    for member in study.best_trial.user_attrs["members"]:
        print(member)
    print(study.best_trial.user_attrs["test_report"])
