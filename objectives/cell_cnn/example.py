"""Five small cell networks on handwritten digits."""

from __future__ import annotations

import optuna
import optunahub

from optuna_nas.spaces import NASBench201Space

if __name__ == "__main__":
    module = optunahub.load_local_module("objectives/cell_cnn", registry_root=".")
    objective = module.CellCNN(NASBench201Space(), "digits", epochs=5, channels=4, cells=1)
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=5)
    print(objective.space.architecture(study.best_params), study.best_value)
