"""An ensemble around one architecture, against an ensemble of random ones.

About two minutes on one core:

    python edge_nes.py
"""

from __future__ import annotations

import optuna

from optuna_nas.objectives import EdgeNES, EnsembleSearch
from optuna_nas.objectives.edge_nes import (
    HypernetworkSettings,
    RandomMembers,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.spaces import EdgeNESSpace

# Ten times the published rate, as a search of ten epochs has few steps; likewise 0.1 below.
search = SupernetSettings(epochs=10, batch_size=32, channels=4, architecture_learning_rate=3e-3)
hypernetwork = HypernetworkSettings(
    epochs=10, batch_size=32, channels=4, architecture_learning_rate=0.1
)
training = TrainingSettings(epochs=8, batch_size=32, channels=8, cells=1)

edge_nes = EdgeNES(
    "digits",
    size=3,
    candidates=6,
    search=search,
    hypernetwork=hypernetwork,
    training=training,
)
random = EnsembleSearch(EdgeNESSpace(), "digits", RandomMembers(6), size=3, training=training)

if __name__ == "__main__":
    for name, objective in (("EdgeNES", edge_nes), ("random", random)):
        study = optuna.create_study(study_name=name, direction="maximize")
        study.optimize(objective, n_trials=1)
        found = study.best_trial.user_attrs
        report = found["test_report"]
        print(f"{name}: accuracy {report['accuracy']:.3f}, likelihood {report['nll']:.3f}")
        for member in found["members"]:
            print(f"  {member}")
