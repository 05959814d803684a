"""Hypernetworks: their sizes, and the best responses and penalties of ridge regression."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from torch import Tensor

from optuna_nas.meta.hypernetworks import (
    Hypernetwork,
    descend_responses,
    search_locally,
    train_responses,
)
from optuna_nas.trials.divergence import DivergedError
from tests.meta.ridge import Ridge, decay

RIDGE = Ridge.random(examples=8, seed=10)
BEST = -1.65


def network(hidden: int | None, seed: int = 0) -> Hypernetwork:
    generator = torch.Generator().manual_seed(seed)
    return Hypernetwork(RIDGE.init(generator), decay(), hidden, generator)


@pytest.mark.parametrize(("hidden", "parameters"), [(50, 400_450), (None, 15_700)])
def test_published_numbers_of_parameters(hidden: int | None, parameters: int) -> None:
    """For one hyper-parameter of a linear classifier of 28 x 28 pixels."""
    weights = {"weight": torch.zeros(10, 784), "bias": torch.zeros(10)}
    made = Hypernetwork(weights, {"decay": torch.zeros(())}, hidden, torch.Generator())
    assert sum(p.numel() for p in made.parameters()) == parameters
    found = made({"decay": torch.tensor(1.0)})
    assert {name: w.shape for name, w in found.items()} == {n: w.shape for n, w in weights.items()}


def test_a_linear_hypernetwork_is_linear() -> None:
    made = network(None)
    low, middle, high = (RIDGE.vector(made(decay(v))) for v in (-2.0, -1.0, 0.0))
    torch.testing.assert_close(middle, (low + high) / 2)


def uniform(generator: torch.Generator) -> dict[str, Tensor]:
    return {"log_decay": -4 + 5 * torch.rand((), generator=generator, dtype=torch.float64)}


def test_global_best_responses_and_the_best_penalty() -> None:
    made, generator = network(20), torch.Generator().manual_seed(1)
    losses = list(train_responses(made, RIDGE, uniform, generator, steps=1500, learning_rate=0.02))
    assert sum(losses[-100:]) < sum(losses[:100])
    for value in (-3.0, -1.5, 0.0):
        expected = RIDGE.optimum(value)
        error = (RIDGE.vector(made(decay(value))) - expected).norm() / expected.norm()
        assert float(error.detach()) < 0.15
    before = [p.clone() for p in made.parameters()]
    [found] = deque(descend_responses(made, RIDGE, decay(0.5), steps=200, learning_rate=0.05), 1)
    assert float(found["log_decay"]) == pytest.approx(BEST, abs=0.5)
    assert all(map(torch.equal, made.parameters(), before))


def local(deviation: float, seed: int, steps: int) -> float:
    search = search_locally(
        network(None),
        RIDGE,
        decay(0.5),
        torch.Generator().manual_seed(seed),
        steps=steps,
        deviation=deviation,
        learning_rate=0.02,
    )
    [found] = deque(search, 1)
    return float(found["log_decay"])


def test_local_search_goes_towards_the_best_penalty() -> None:
    assert local(0.1, 1, 800) < 0.2


def test_without_sampling_nothing_is_random() -> None:
    assert local(0.0, 1, 20) == local(0.0, 2, 20)
    assert local(0.1, 1, 20) != local(0.1, 2, 20)


def test_a_loss_that_is_not_finite() -> None:
    made = network(None)
    with torch.no_grad():
        made.biases[0][0] = float("inf")
    search = search_locally(made, RIDGE, decay(), torch.Generator(), steps=1)
    with pytest.raises(DivergedError, match=r"^`training_loss` is (inf|nan) in step 0$"):
        next(search)
