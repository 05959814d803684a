"""Learn the weight decays and the learning rates of a small network on digits.

By gradient, and by samplers that try settings out, with equal numbers of training steps; about
three minutes on one core:

    python meta_digits.py
"""

from __future__ import annotations

from typing import Any

import optuna
import torch
from optuna.distributions import FloatDistribution
from torch import nn

import optuna_nas as nas
from optuna_nas.data import ImageSplit
from optuna_nas.meta import NetworkProblem
from optuna_nas.objectives import MetaOptimization

STEPS, EPOCHS, TRIALS = 100, 20, 21
DECAYS = [FloatDistribution(-12.0, 0.0)] * 4


def examples(split: ImageSplit) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as vectors, and their labels."""
    return split.images.flatten(1), split.labels


def problem() -> NetworkProblem:
    """200 digits to train on: few, so that decays matter."""
    data = nas.data.load_images("digits", train_size=200, validation_size=288)
    network = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    parts = (examples(split) for split in (data.train, data.validation, data.test))
    train, validation, test = parts
    return NetworkProblem(network, train, validation, test=test, batch_size=50)


def report(name: str, study: optuna.Study) -> None:
    """Print the best trial, and what all trials cost."""
    best = study.best_trial
    steps = sum(t.user_attrs["training_steps"] for t in study.trials)
    seconds = sum(t.duration.total_seconds() for t in study.trials if t.duration)
    attributes = best.user_attrs
    print(
        f"{name:10} validation loss {best.value:.4f}, test loss {attributes['test_loss']:.4f}, "
        f"test accuracy {attributes['test_accuracy']:.3f}, {steps} steps, {seconds:.1f} s"
    )


def main() -> None:
    """Search, and print what each way has found."""
    torch.set_num_threads(1)
    digits = problem()
    common: dict[str, Any] = {"steps": STEPS, "epochs": EPOCHS, "artifacts": None}
    start = {"log_weight_decay": [-6.0] * 4}
    for method in ("rmad", "drmad", "greedy"):
        objective = MetaOptimization(
            digits,
            start,
            method=method,
            learnt=["learning_rate"],
            meta_learning_rate=0.01 if method == "greedy" else 0.2,
            **common,
        )
        study = optuna.create_study()
        study.optimize(objective, n_trials=1)
        report(method, study)
    search = MetaOptimization(
        digits,
        {"log_weight_decay": DECAYS},
        method="none",
        learning_rate=FloatDistribution(1e-2, 3.0, log=True),
        **common,
    )
    samplers = {
        "random": optuna.samplers.RandomSampler(seed=0),
        "tpe": optuna.samplers.TPESampler(seed=0),
        "bananas": nas.BananasSampler(seed=0),
    }
    for name, sampler in samplers.items():
        study = optuna.create_study(sampler=sampler)
        study.optimize(search, n_trials=TRIALS)
        report(name, study)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
