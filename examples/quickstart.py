"""Search a cell for handwritten digits: twenty small trainings, a minute or two on a laptop."""

from __future__ import annotations

import optuna

import optuna_nas as nas

if __name__ == "__main__":
    space = nas.spaces.NASBench201Space()
    study = optuna.create_study(
        study_name="cells",
        storage="sqlite:///optuna-nas.db",
        load_if_exists=True,
        direction="maximize",
        sampler=nas.BananasSampler(seed=0),
        pruner=optuna.pruners.PercentilePruner(75.0, n_warmup_steps=4),
    )
    objective = nas.objectives.CellCNN(space, data="digits", epochs=12, channels=8, cells=1)
    study.optimize(objective, n_trials=20)
    print(space.architecture(study.best_params))
    print("validation accuracy", study.best_value)
    print("test accuracy", study.best_trial.user_attrs["test_accuracy"])
