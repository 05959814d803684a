"""Does a search for a perceptron beat a linear model? On the tables that scikit-learn brings.

For each table and seed, the same rows for all: BANANAS searches, and the trial with the best
validation score is measured on the test rows; beside it a linear model (ridge regression, or
logistic regression), whose penalty is chosen on the same validation rows.

    python benchmarks/perceptrons.py --tables diabetes breast_cancer --seeds 5 --trials 24
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np
import optuna
import torch
from sklearn.linear_model import LogisticRegression, Ridge

import optuna_nas as nas
from optuna_nas.data import TableData, load_table
from optuna_nas.objectives import TaskTraining
from optuna_nas.spaces import MLPSpace
from optuna_nas.tasks import tabular

PENALTIES = np.logspace(-3, 3, 13)
TRAINING: dict[str, Any] = {
    "epochs": 60,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "weight_decay": 0.01,
}


def searched(data: TableData, trials: int, seed: int) -> tuple[float, str]:
    """The test score of the best perceptron by validation, and what it is."""
    objective = TaskTraining(MLPSpace(), tabular(data), seed=seed, artifacts=None, **TRAINING)
    sampler = nas.BananasSampler(seed=seed)
    study = optuna.create_study(directions=list(objective.directions), sampler=sampler)
    study.optimize(objective, n_trials=trials)
    attributes = study.best_trial.user_attrs
    found = attributes["test_accuracy" if "test_accuracy" in attributes else "test_score"]
    return float(found), str(attributes["architecture"])


def linear(data: TableData) -> float:
    """The test score of the linear model whose penalty is best by validation."""
    parts = [
        (split.inputs.numpy(), split.targets.numpy())
        for split in (data.train, data.validation, data.test)
    ]
    fitted = []
    for penalty in PENALTIES:
        model = (
            LogisticRegression(C=1 / penalty, max_iter=5000)
            if data.class_names
            else Ridge(penalty)
        )
        model.fit(*parts[0])
        fitted.append((model.score(*parts[1]), model.score(*parts[2])))
    return float(max(fitted, key=lambda scores: scores[0])[1])


def main() -> None:
    """Print a line for each table and seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=["diabetes", "breast_cancer"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in arguments.tables:
        pairs = []
        for seed in range(arguments.seeds):
            data = load_table(name, seed=seed)
            (score, text), other = searched(data, arguments.trials, seed), linear(data)
            pairs.append((score, other))
            print(f"{name} seed {seed}: {score:.4f} ({text}), linear {other:.4f}", flush=True)
        gains = [score - other for score, other in pairs]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
        means = [statistics.mean(column) for column in zip(*pairs, strict=True)]
        print(
            f"{name}: perceptrons {means[0]:.4f}, linear {means[1]:.4f}, "
            f"gain {statistics.mean(gains):+.4f} ± {error:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
