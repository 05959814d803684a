"""Perturbations of the weights of operations."""

from __future__ import annotations

import pytest
import torch

from optuna_nas.methods.smooth_darts import AdversarialPerturbation, RandomPerturbation, moved
from optuna_nas.supernets import Weights
from tests.methods.test_all_methods import engine, small


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(rows: int = 6, seed: int = 0) -> dict[str, torch.Tensor]:
    return {"cell": torch.randn(rows, 5, generator=generator(seed)).softmax(1)}


def no_loss(weights: Weights) -> torch.Tensor:
    raise AssertionError("a random perturbation looks at no loss")


def test_random_perturbations_stay_on_the_simplex() -> None:
    perturbation = RandomPerturbation(epsilon=0.3, final_epsilon=0.3)
    for seed in range(20):
        weights = drawn(seed=seed)
        found = perturbation(weights, no_loss, generator(seed), 0.5)["cell"]
        assert bool((found >= 0).all())
        torch.testing.assert_close(found.sum(1), torch.ones(6))
        assert not torch.equal(found, weights["cell"])


def test_the_noise_is_uniform_and_grows() -> None:
    perturbation = RandomPerturbation()
    weights = {"cell": torch.zeros(1000, 5)}
    for progress, epsilon in ((0.0, 0.03), (0.5, 0.165), (1.0, 0.3)):
        noise = perturbation.noise(weights, generator(), progress)["cell"]
        assert 0.99 * epsilon < float(noise.abs().max()) <= epsilon
        assert float(noise.std()) == pytest.approx(epsilon / 3**0.5, rel=0.03)
        assert abs(float(noise.mean())) < 0.05 * epsilon


def test_clipping_and_scaling_by_hand() -> None:
    weights = {"cell": torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])}
    changes = {"cell": torch.tensor([[0.1, -0.4, 0.0], [-1.0, -1.0, -1.0]])}
    found = moved(weights, changes)["cell"]
    torch.testing.assert_close(found[0], torch.tensor([0.7, 0.0, 0.1]) / 0.8)
    torch.testing.assert_close(found[1], weights["cell"][1])  # nothing was left of it


def test_the_worst_perturbation_of_a_linear_loss() -> None:
    """All of the change goes from the cheapest operation to the dearest."""
    weights = {"cell": torch.full((1, 3), 1 / 3)}
    prices = torch.tensor([[1.0, 0.0, -1.0]])
    attack = AdversarialPerturbation(epsilon=0.1, final_epsilon=0.1)
    found = attack(weights, lambda w: (prices * w["cell"]).sum(), generator(), 0.0)["cell"]
    assert float(found[0, 0]) > 0.4 and float(found[0, 2]) < 0.25


@pytest.mark.parametrize("seed", range(3))
def test_the_adversarial_loss_is_not_below_the_clean_one(seed: int) -> None:
    search = engine(small("smooth_darts_adversarial"), "nasbench201", seed)
    batch, weights = search.draw_held_out(), search.sample(seed)
    attack = AdversarialPerturbation(epsilon=0.2, final_epsilon=0.2)
    clean = {kind: w.detach() for kind, w in weights.items()}
    found = attack(clean, lambda w: search.loss(batch, w), generator(seed), 0.0)
    with torch.no_grad():
        assert float(search.loss(batch, found)) > float(search.loss(batch, clean))


def test_a_perturbation_that_is_not_worse_is_dropped() -> None:
    weights = drawn()
    attack = AdversarialPerturbation()
    found = attack(weights, lambda w: -w["cell"].square().sum() * 0, generator(), 0.0)
    assert torch.equal(found["cell"], weights["cell"])


@pytest.mark.parametrize("name", ["smooth_darts", "smooth_darts_adversarial"])
def test_the_step_of_the_weights_leaves_the_architecture_as_it_is(name: str) -> None:
    """To the bit; nor do the losses of the attack move statistics or leave gradients."""
    search = engine(small(name, warm_up_epochs=1), "nasbench201")
    plain = engine(small("darts", warm_up_epochs=1), "nasbench201")
    before = [alpha.detach().clone() for alpha in search.alphas]
    search.train_epoch()
    plain.train_epoch()
    assert all(torch.equal(a, b) for a, b in zip(search.alphas, before, strict=True))
    assert all(alpha.grad is None for alpha in search.alphas)
    ours, theirs = dict(search.supernet.named_buffers()), dict(plain.supernet.named_buffers())
    assert not all(torch.equal(ours[n], b) for n, b in theirs.items())
    stem = [n for n in ours if n.startswith("stem") and n.endswith("num_batches_tracked")]
    assert stem and all(torch.equal(ours[n], theirs[n]) for n in stem)


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"final_epsilon": -1.0}])
def test_wrong_epsilons(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"epsilon` is .*; allowed are positive numbers"):
        small("smooth_darts", **options)
