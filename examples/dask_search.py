"""Search a cell for handwritten digits on a Dask cluster: here two processes, else any machines.

    pip install "optuna-nas[dask]"

The study lives in the memory of the cluster's scheduler. Give `DaskStorage` the address of a
database to keep it, and `Client` that of a cluster to use more machines (docs/storages.md).
"""

from __future__ import annotations

import optuna
from distributed import Client
from optuna_integration import DaskStorage

import optuna_nas as nas

TRIALS = 16

if __name__ == "__main__":
    space = nas.spaces.NASBench201Space()
    objective = nas.objectives.CellCNN(space, data="digits", epochs=4, channels=4, cells=1)
    with Client(n_workers=2, threads_per_worker=1) as client:
        study = optuna.create_study(
            storage=DaskStorage(),
            direction="maximize",
            sampler=nas.BananasSampler(seed=0),
        )
        # The images travel to each worker once. A task for each trial: the cluster gives them to
        # whoever is free, and again to another worker if one is lost.
        shared = client.scatter(objective, broadcast=True)
        tasks = [
            client.submit(study.optimize, shared, n_trials=1, pure=False) for _ in range(TRIALS)
        ]
        client.gather(tasks)
        print(space.architecture(study.best_params))
        print("validation accuracy", study.best_value)
