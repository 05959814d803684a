"""The outer loop: it finds the best settings of ridge regression, and resumes to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from optuna_nas.meta import HYPERGRADIENTS, Tensors
from optuna_nas.meta.descent import MetaDescent, TrainingSettings
from optuna_nas.trials.divergence import DivergedError
from tests.meta.ridge import Ridge, decay

RIDGE = Ridge.random(examples=8, seed=10)


def best_log_decay(ridge: Ridge) -> float:
    grid = torch.linspace(-6, 3, 901).tolist()
    losses = [float(ridge.validation_loss(named(ridge.optimum(v)), 0)) for v in grid]
    return float(grid[min(range(len(grid)), key=losses.__getitem__)])


def named(vector: Tensor) -> dict[str, Tensor]:
    return {"a": vector[:2], "b": vector[2:].reshape(-1, 1)}


def descent(method: str, seed: int = 0, **settings: Any) -> MetaDescent:
    return MetaDescent(
        RIDGE,
        HYPERGRADIENTS[method],
        decay(-3.0),
        TrainingSettings(**{"steps": 60, "learning_rate": 0.2, "momentum": 0.5} | settings),
        torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("method", ["unrolling", "rmad", "implicit"])
def test_the_best_penalty_is_found(method: str) -> None:
    best = best_log_decay(RIDGE)
    assert -2.5 < best < 2.5
    search = descent(method, steps=40, learning_rate=0.5, meta_learning_rate=0.2)
    losses = [search.train_epoch() for _ in range(25)]
    assert float(search.settings()["log_decay"]) == pytest.approx(best, abs=0.3)
    assert losses[-1] < losses[0]
    assert search.validation_loss(search.final_weights()) == pytest.approx(losses[-1], rel=0.01)


def test_drmad_goes_in_its_direction() -> None:
    search = descent("drmad", steps=30, meta_learning_rate=0.3)
    losses = [search.train_epoch() for _ in range(5)]
    assert float(search.settings()["log_decay"]) > -2.5
    assert losses[-1] < losses[0]


def test_greedy_is_misled_by_the_start_of_a_training() -> None:
    """There a penalty only slows the weights, and one step ahead is all that greedy sees."""
    search = descent("greedy", steps=30, meta_learning_rate=0.01)
    search.train_epoch()
    assert float(search.settings()["log_decay"]) < -3.0 < best_log_decay(RIDGE)


@pytest.mark.parametrize("by_step", [False, True])
def test_learning_rates_and_momenta_are_learnt(by_step: bool) -> None:
    search = descent(
        "rmad",
        steps=8,
        learning_rate=0.02,
        momentum=0.8,
        learnt=("learning_rate", "momentum"),
        by_step=by_step,
        meta_learning_rate=0.1,
    )
    losses = [search.train_epoch() for _ in range(30)]
    found = search.settings()
    assert found["learning_rate"].shape == found["momentum"].shape == ((8,) if by_step else ())
    assert float(found["learning_rate"].max()) > 0.05
    assert float(found["momentum"].max()) < 1
    assert losses[-1] < 0.7 * losses[0]
    assert len(search.curve["learning_rate"]) == len(search.curve["log_decay"]) == 31


@pytest.mark.parametrize("method", HYPERGRADIENTS)
def test_an_interrupted_search_goes_on_to_the_bit(method: str) -> None:
    learnt = () if method == "implicit" else ("learning_rate",)
    whole, first, second = (descent(method, s, steps=10, learnt=learnt) for s in (0, 0, 9))
    losses = [whole.train_epoch() for _ in range(4)]
    assert [first.train_epoch() for _ in range(2)] == losses[:2]
    second.load(first.state())
    assert [second.train_epoch() for _ in range(2)] == losses[2:]
    for name, values in whole.curve.items():
        assert torch.equal(torch.stack(values), torch.stack(second.curve[name]))


def test_a_hypergradient_that_is_not_finite() -> None:
    class Kink(Ridge):
        def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
            root = (hyper["log_decay"] + 3.0).abs().sqrt()  # its slope at -3 is infinite
            return super().training_loss(weights, hyper, batch) + root * weights["a"].sum()

    search = MetaDescent(
        Kink(**vars(RIDGE)),
        HYPERGRADIENTS["unrolling"],
        decay(-3.0),
        TrainingSettings(3),
        torch.Generator(),
    )
    with pytest.raises(DivergedError, match="in 'log_decay' is not finite after the training 0"):
        search.train_epoch()
