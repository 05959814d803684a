"""Two paths of each edge."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from optuna_nas.methods import Engine, SampledOperations
from optuna_nas.methods.proxyless import CostedReinforce, TwoPaths
from optuna_nas.methods.reinforce import Reinforce
from optuna_nas.supernets import frozen_statistics
from tests.methods.test_all_methods import engine, small


def search(**options: float) -> Engine:
    """Without costs, and with parameters that differ."""
    method = replace(small("proxyless", **options), regulariser=None)
    found = engine(method, "nasbench201")
    with torch.no_grad():
        for alpha in found.alphas:
            alpha.copy_(torch.randn(alpha.shape, generator=torch.Generator().manual_seed(2)))
    return found


def test_the_gradients_of_two_paths_sum_to_zero() -> None:
    found = search()
    step = TwoPaths()
    pairs = step.pairs(found)
    [gradient] = step.gradients(found, found.draw_held_out(), pairs)
    torch.testing.assert_close(gradient.sum(1), torch.zeros(6), rtol=0, atol=1e-6)
    others = torch.ones_like(gradient).scatter(1, pairs[0], 0.0).bool()
    assert bool((gradient[others] == 0).all()) and bool((gradient != 0).any())


def test_the_gradient_is_that_of_binary_gates_by_hand() -> None:
    """Σ_j ∂L/∂g_j · p_j (δ_ij - p_i), with both paths computed and one gate open."""
    found = search()
    step = TwoPaths()
    [pair] = step.pairs(found)
    batch = found.draw_held_out()
    [gradient] = step.gradients(found, batch, [pair])
    gates = torch.zeros(6, 5).scatter(1, pair[:, :1], 1.0).requires_grad_()
    computed = torch.zeros(6, 5).scatter(1, pair, 1.0).bool()
    with frozen_statistics(found.supernet):
        loss = found.loss(batch, {"cell": gates}, {"cell": computed})
        [by_gate] = torch.autograd.grad(loss, [gates])
    own = by_gate.gather(1, pair)
    chances = found.alphas[0].detach().gather(1, pair).softmax(1)
    expected = chances * (own - (own * chances).sum(1, keepdim=True))
    torch.testing.assert_close(gradient.gather(1, pair), expected)


def test_the_forward_pass_is_the_active_path() -> None:
    found = search()
    [pair] = TwoPaths().pairs(found)
    batch = found.draw_held_out()
    one_hot = {"cell": torch.zeros(6, 5).scatter(1, pair[:, :1], 1.0)}
    both = {"cell": torch.zeros(6, 5).scatter(1, pair, 1.0).bool()}
    with torch.no_grad(), frozen_statistics(found.supernet):
        torch.testing.assert_close(found.loss(batch, one_hot), found.loss(batch, one_hot, both))


def test_parameters_that_are_not_sampled_do_not_move() -> None:
    """Nor do their probabilities; after several steps, to the bit."""
    found = search(architecture_learning_rate=0.1)
    step = TwoPaths()
    for _ in range(4):
        [alpha] = found.alphas
        before = alpha.detach().clone()
        state = found.generator.get_state()
        [pair] = step.pairs(found)
        found.generator.set_state(state)  # the step draws the same pairs
        step(found, None)  # type: ignore[arg-type]
        others = torch.ones(6, 5).scatter(1, pair, 0.0).bool()
        assert torch.equal(alpha.detach()[others], before[others])
        assert not torch.equal(alpha.detach(), before)
        torch.testing.assert_close(alpha.detach().logsumexp(1), before.logsumexp(1))
        after = alpha.detach().softmax(1)
        torch.testing.assert_close(after[others], before.softmax(1)[others])


def test_pairs_are_distinct_and_the_likely_are_active() -> None:
    found = search()
    with torch.no_grad():
        found.alphas[0].zero_()[:, 2] = 3.0
    step = TwoPaths()
    pairs = torch.stack([step.pairs(found)[0] for _ in range(300)])
    assert bool((pairs[..., 0] != pairs[..., 1]).all())
    chance = float(torch.tensor([3.0, 0.0]).softmax(0)[0])
    with_two = (pairs == 2).any(-1)
    active = (pairs[..., 0] == 2).float().sum() / with_two.sum()
    assert float(active) == pytest.approx(chance, abs=0.02)


def test_one_path_is_computed_for_the_weights() -> None:
    found = search()
    assert isinstance(found.method.execution, SampledOperations)
    weights = found.sample(3)["cell"].detach()
    assert set(weights.flatten().tolist()) == {0.0, 1.0} and bool((weights.sum(1) == 1).all())


def test_a_reward_is_less_of_a_dear_architecture() -> None:
    found = engine(small("proxyless_reinforce"), "nasbench201")
    dear, cheap = torch.zeros(6, 5), torch.zeros(6, 5)
    dear[:, found.supernet.operations.index("nor_conv_3x3")] = 1.0
    cheap[:, found.supernet.operations.index("nor_conv_1x1")] = 1.0
    for weights, ratio in ((dear, 0.5), (cheap, 0.5 * 9)):
        state = found.generator.get_state()
        plain = Reinforce().reward(found, {"cell": weights})
        found.generator.set_state(state)
        costed = CostedReinforce(reference=0.5).reward(found, {"cell": weights})
        assert costed == pytest.approx(plain * ratio**0.1)
