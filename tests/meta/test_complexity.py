"""Networks for every strength of a regulariser: formulas, curves, pruning, a short training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from optuna_nas.meta.complexity import REGULARISERS, ComplexityCurve, Curve, divergence
from optuna_nas.trials.divergence import DivergedError


def examples(size: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 6, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def network(seed: int = 0) -> nn.Sequential:
    made = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for w in made.parameters():
            w.copy_(0.3 * torch.randn(w.shape, generator=generator))
    return made


def curve(**options: Any) -> ComplexityCurve:
    return ComplexityCurve(network(), examples(), **options)


@pytest.mark.parametrize("prior", [0.5, 1.0, 3.0])
def test_the_divergence_is_that_of_normals(prior: float) -> None:
    mean, log_deviation = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    expected = kl_divergence(Normal(mean, log_deviation.exp()), Normal(0.0, prior)).sum()
    torch.testing.assert_close(divergence(mean, log_deviation, prior), expected)
    nothing = divergence(torch.zeros(3), torch.full((3,), math.log(prior)), prior)
    assert float(nothing) == pytest.approx(0.0, abs=1e-6)


def test_the_three_regularisers_by_hand() -> None:
    mean, log_deviation = torch.tensor([1.0, -2.0]), torch.tensor([0.0, -1.0])
    found = {n: float(r.penalty(mean, log_deviation, 4.0)) for n, r in REGULARISERS.items()}
    first = 0.5 * (1 + 1) - 0 - 0.5 + 0.5 * (4 + math.exp(-2)) + 1 - 0.5
    assert found["scaled_divergence"] == pytest.approx(4 * first)
    scaled = 0.5 * 4 * (1 + 1) - 0.5 + 0.5 * 4 * (4 + math.exp(-2)) + 1 - 0.5 - math.log(4)
    assert found["scaled_prior"] == pytest.approx(scaled)
    assert found["weight_norm"] == pytest.approx(20.0)


def test_curves_go_through_their_pivots_and_are_linear_between() -> None:
    pivots = torch.tensor([[0.0], [3.0], [-1.0]])
    made = Curve(pivots)
    places = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert [float(made(p).detach()) for p in places] == [0.0, 1.5, 3.0, 1.0, -1.0]
    below, above = made(0.5 - 1e-6), made(0.5 + 1e-6)
    assert float((below - above).abs().detach()) < 1e-4
    linear = Curve(pivots[[0, 2]])
    assert float(linear(0.25).detach()) == -0.25


def test_places_of_strengths() -> None:
    made = curve(low=1e-3, high=1e2)
    assert made.place(1e-3) == 0 and made.place(1e2) == 1
    assert made.place(10**-0.5) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"^`strength` is 200.0; allowed are numbers from 0.001"):
        made.place(200.0)


def test_the_loss_without_noise_by_hand() -> None:
    made = curve(regulariser="weight_norm")
    x, y = examples()
    norm = sum(float(w.detach().square().sum()) for w in network().parameters())
    expected = float(F.cross_entropy(network()(x), y).detach()) + 2.0 * norm / 60
    assert float(made.loss(x, y, 2.0).detach()) == pytest.approx(expected, rel=1e-5)


def test_what_is_pruned_is_of_least_use() -> None:
    made = curve()
    with torch.no_grad():
        deviations = made.log_deviations["0.weight"].pivots
        deviations.view(2, -1)[:, :10] = 5.0
    pruned = made.weights(1.0, 10 / 48)["0.weight"].view(-1)
    assert bool((pruned[:10] == 0).all()) and bool((pruned[10:] != 0).all())
    plain = curve(regulariser="weight_norm").weights(1.0, 0.5)["0.weight"]
    whole = dict(network().named_parameters())["0.weight"].detach()
    assert float(plain[plain != 0].abs().min()) >= float(whole[plain == 0].abs().max())
    assert int((plain == 0).sum()) == 24


@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("pivots", [2, 4])
def test_training_pays_for_complexity(regulariser: str, pivots: int) -> None:
    made = curve(regulariser=regulariser, pivots=pivots, low=1e-2, high=1e2)
    losses = list(made.train(150, draws=2, learning_rate=0.02))
    assert sum(losses[-20:]) < sum(losses[:20])
    norms = [
        sum(float(w.square().sum()) for w in made.weights(strength).values())
        for strength in (1e-2, 1e2)
    ]
    assert norms[1] < 0.7 * norms[0]
    assert made.accuracy(examples(200, 1), 1e-2) > 0.75


def test_the_same_seed_is_the_same_training() -> None:
    first, second, third = (list(curve(seed=s).train(3)) for s in (1, 1, 2))
    assert first == second != third


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regulariser": "kl"}, r"^`regulariser` is 'kl'; allowed are \['scaled_divergence',"),
        ({"pivots": 1}, r"^`pivots` is 1; allowed is an integer of 2 or more"),
        ({"low": 0.0}, r"^`low` is 0.0; allowed are positive"),
        ({"low": 5.0, "high": 1.0}, r"^`low` is 5.0; allowed are numbers below `high`, 1.0"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curve(**options)
    with pytest.raises(ValueError, match=r"^`pruned` is 1.5; allowed are numbers from 0 to 1"):
        curve().weights(1.0, 1.5)


def test_a_loss_that_is_not_finite() -> None:
    x, y = examples()
    made = ComplexityCurve(network(), (x * math.nan, y))
    with pytest.raises(DivergedError, match=r"^the loss is nan in step 0"):
        next(iter(made.train(1)))
