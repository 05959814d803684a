"""A classifier as a problem: its loss by hand, its batches, its initial weights, bad input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from optuna_nas.meta import HYPERGRADIENTS, NetworkProblem, Training


def examples(size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 4, generator=generator)
    return x, (x[:, 0] > 0).long()


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def problem(**options: Any) -> NetworkProblem:
    return NetworkProblem(network(), examples(20), examples(30, 1), test=examples(9, 2), **options)


def test_the_loss_by_hand() -> None:
    made = problem()
    weights = made.init(torch.Generator().manual_seed(0))
    x, y = examples(20)
    hidden = torch.tanh(x @ weights["0.weight"].T + weights["0.bias"])
    logits = hidden @ weights["2.weight"].T + weights["2.bias"]
    logit = torch.linspace(-2, 2, 20)
    decays = torch.tensor([-1.0, -2.0, -3.0, 0.5])
    expected = (torch.sigmoid(logit) * F.cross_entropy(logits, y, reduction="none")).mean()
    for w, value in zip(weights.values(), decays, strict=True):
        expected = expected + value.exp() * w.square().sum() / 2
    found = made.training_loss(weights, {"log_weight_decay": decays, "example_logit": logit}, 0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(made.training_loss(weights, {}, 3), F.cross_entropy(logits, y))


def test_batches_are_all_examples_once_in_each_epoch() -> None:
    made = problem(batch_size=5, seed=3)
    weights = made.init(torch.Generator().manual_seed(0))
    whole = made.training_loss(weights, {"example_logit": torch.zeros(20)}, 0)
    for epoch in (0, 1):
        logit = torch.zeros(20, requires_grad=True)
        losses = [
            made.training_loss(weights, {"example_logit": logit}, 4 * epoch + i) for i in range(4)
        ]
        [gradient] = torch.autograd.grad(sum(losses, torch.zeros(())), [logit])
        assert bool((gradient != 0).all())
        assert torch.equal(
            losses[0], made.training_loss(weights, {"example_logit": logit}, 4 * epoch)
        )
    assert not torch.equal(whole, losses[0])
    other = problem(batch_size=5, seed=4)
    assert not torch.equal(other.training_loss(weights, {}, 0), made.training_loss(weights, {}, 0))


def test_initial_weights_come_from_the_generator() -> None:
    made, copy = problem(), problem()
    state = torch.get_rng_state()
    first = made.init(torch.Generator().manual_seed(1))
    again = copy.init(torch.Generator().manual_seed(1))
    other = made.init(torch.Generator().manual_seed(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_scores() -> None:
    made = problem()
    weights = {n: torch.zeros_like(w) for n, w in made.init(torch.Generator()).items()}
    weights["2.bias"] = torch.tensor([0.0, 1.0])
    found = made.scores(weights)
    assert found["validation_accuracy"] == pytest.approx(float(examples(30, 1)[1].double().mean()))
    assert set(found) == {"validation_accuracy", "test_accuracy", "test_loss"}


def test_weights_of_examples_fall_for_wrong_labels() -> None:
    """The gradient is against examples with labels that are wrong, and for the others."""
    x, y = examples(20)
    wrong = torch.arange(20) < 5
    made = NetworkProblem(network().double(), (x.double(), y ^ wrong.long()), (x.double(), y))
    weights = made.init(torch.Generator().manual_seed(0))
    hyper = {"example_logit": torch.zeros(20, dtype=torch.float64)}
    found = HYPERGRADIENTS["rmad"](made, weights, hyper, Training(40, 1.0, 0.9))
    gradient = found.hyper["example_logit"]
    assert float(gradient[wrong].mean()) > 0 > float(gradient[~wrong].mean())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": nn.Sequential(nn.BatchNorm1d(4))}, "^`network` has the buffers .*without"),
        ({"network": nn.Flatten()}, "^`network` has no weights"),
        ({"train": (torch.zeros(3, 4), torch.zeros(2).long())}, "^`train` has 3 inputs and 2 la"),
        ({"validation": (examples(3)[0], torch.zeros(0).long())}, "^`validation` has 3 in"),
        ({"test": tuple(t.to("meta") for t in examples(3))}, "^`test` is on meta, the network is"),
        ({"batch_size": 21}, "^`batch_size` is 21; allowed is an integer from 1 to 20"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "network": network(),
        "train": examples(20),
        "validation": examples(5),
    }
    with pytest.raises(ValueError, match=message):
        NetworkProblem(**given | arguments)


@pytest.mark.parametrize("name", ["log_weight_decay", "example_logit"])
def test_hyper_parameters_of_a_wrong_size(name: str) -> None:
    made = problem()
    weights = made.init(torch.Generator())
    with pytest.raises(ValueError, match=f"^The hyper-parameter '{name}' has the shape \\(3,\\)"):
        made.training_loss(weights, {name: torch.zeros(3)}, 0)
