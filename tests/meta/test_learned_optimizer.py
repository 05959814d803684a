"""The learned optimiser: its size, what it reads, equivariance, its file, a short training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from optuna_nas.meta.learned_optimizer import (
    LearnedOptimizer,
    Loss,
    UpdateRule,
    meta_train,
    preprocess,
    quadratics,
)
from optuna_nas.trials.divergence import DivergedError


def rule(seed: int = 0) -> UpdateRule:
    return UpdateRule(torch.Generator().manual_seed(seed))


def test_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in rule().parameters()) == 5_301


@pytest.mark.parametrize(
    ("gradient", "read"),
    [
        (1.0, (0.0, 1.0)),
        (-1.0, (0.0, -1.0)),
        (0.0, (-1.0, 0.0)),
        (math.e**-10, (-1.0, 1.0)),
        (-(math.e**-12), (-1.0, -(math.e**-2))),
        (-(math.e**-5), (-0.5, -1.0)),
        (math.e**3, (0.3, 1.0)),
    ],
)
def test_what_is_read_of_a_gradient(gradient: float, read: tuple[float, float]) -> None:
    """With p = 10; e^-10 itself is on the border, where both forms are the same."""
    found = preprocess(torch.tensor([gradient], dtype=torch.float64), 10.0)
    torch.testing.assert_close(found[0], torch.tensor(read, dtype=torch.float64))


def test_permuting_weights_permutes_steps() -> None:
    made, generator = rule(), torch.Generator().manual_seed(1)
    order = torch.randperm(6, generator=generator)
    state = permuted = made.start(torch.zeros(6))
    for _ in range(3):
        gradient = torch.randn(6, generator=generator)
        step, state = made(gradient, state)
        other, permuted = made(gradient[order], permuted)
        torch.testing.assert_close(other, step[order])
    assert len(step.unique()) == 6


def test_weights_do_not_see_each_other() -> None:
    made = rule()
    both, _ = made(torch.tensor([0.3, -2.0]), made.start(torch.zeros(2)))
    alone, _ = made(torch.tensor([0.3]), made.start(torch.zeros(1)))
    torch.testing.assert_close(both[:1], alone)


def test_as_an_optimizer_of_a_network_from_a_file(tmp_path: Path) -> None:
    made = rule()
    made.save(tmp_path / "rule.safetensors")
    network = nn.Linear(3, 2)
    before = network.weight.detach().clone()
    optimizer = LearnedOptimizer(network.parameters(), tmp_path / "rule.safetensors")
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = network(x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    first = optimizer.step(closure)
    assert network.weight.grad is not None
    expected, _ = made(network.weight.grad.reshape(-1), made.start(before))
    torch.testing.assert_close(network.weight.detach(), before + expected.detach().view(2, 3))
    optimizer.step(closure)
    assert float(first.detach()) > 0
    assert optimizer.state[network.weight]["hidden"].shape == (2, 6, 20)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no learned optimiser"):
        UpdateRule.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(ValueError, match="is no learned optimiser"):
        UpdateRule.load(tmp_path / "text")
    made = rule()
    with torch.no_grad():
        made.output.bias.fill_(math.nan)
    made.save(tmp_path / "nan")
    with pytest.raises(ValueError, match="not finite"):
        UpdateRule.load(tmp_path / "nan")


def test_meta_training_lowers_the_losses() -> None:
    def small(generator: torch.Generator) -> tuple[Loss, Tensor]:
        return quadratics(generator, 3)

    def train(made: UpdateRule, seed: int, episodes: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        options = {"episodes": episodes, "problems": 6, "steps": 40}
        return list(meta_train(made, small, generator, learning_rate=0.01, **options))

    made = rule()
    train(made, 2, 25)
    [after], [before] = train(made, 5, 1), train(rule(), 5, 1)
    assert after < 0.8 * before


def test_a_problem_that_is_not_finite() -> None:
    def broken(generator: torch.Generator) -> tuple[Loss, Tensor]:
        return (lambda x: (x * math.nan).sum()), torch.zeros(2)

    training = meta_train(rule(), broken, torch.Generator(), episodes=1, problems=2)
    with pytest.raises(DivergedError, match="not finite in step 0"):
        next(training)
    with pytest.raises(ValueError, match=r"^`unroll` is 0; allowed is an integer of 1"):
        next(meta_train(rule(), quadratics, torch.Generator(), episodes=1, unroll=0))
