"""Search a cell by gradient descent, then train what was found.

About a minute on one core:

    python darts_search.py
"""

from __future__ import annotations

import optuna

import optuna_nas as nas
from optuna_nas.objectives import CellCNN, Darts, derived_params

space = nas.spaces.NASBench201Space()
search = Darts(
    space,
    "digits",
    epochs=20,
    batch_size=32,
    channels=8,
    cells=1,
    architecture_learning_rate=3e-3,  # ten times the published one: a short search
)
training = CellCNN(space, "digits", epochs=8, batch_size=32, channels=8, cells=1)

if __name__ == "__main__":
    searches = optuna.create_study(direction="maximize", study_name="darts")
    searches.optimize(search, n_trials=2)

    trainings = optuna.create_study(direction="maximize", study_name="derived cells")
    for trial in searches.trials:
        trainings.enqueue_trial(derived_params(trial), skip_if_exists=True)
    trainings.optimize(training, n_trials=2)
    print(space.architecture(trainings.best_params), trainings.best_value)
