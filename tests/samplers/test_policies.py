"""Policies: their probabilities, their gradients, and what they learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from optuna_nas.samplers import PPO, FactorizedPolicy, LSTMPolicy, Policy, PolicyUpdate
from optuna_nas.samplers._policy_gradient import Adam, entropy, reinforce

SIZES = [3, 2, 1, 4]
ALL = np.array(list(product(*map(range, SIZES))))
FACTORIES: dict[str, Callable[..., Policy]] = {
    "factorized": FactorizedPolicy,
    "lstm": partial(LSTMPolicy, hidden=5),
    "lstm-2": partial(LSTMPolicy, hidden=4, layers=2),
}


@pytest.fixture(params=list(FACTORIES))
def policy(request: pytest.FixtureRequest) -> Policy:
    """A policy of each kind with weights that are not those of the start."""
    rng = np.random.default_rng(1)
    made = FACTORIES[request.param](SIZES, rng)
    made.weights += rng.normal(size=len(made.weights)) / 2
    return made


def chosen(found: list[np.ndarray], actions: np.ndarray) -> np.ndarray:
    """The probability of each architecture."""
    rows = np.arange(len(actions))
    parts = [np.where(actions[:, t] < 0, 1.0, p[rows, actions[:, t]]) for t, p in enumerate(found)]
    return np.asarray(np.prod(parts, axis=0))


def test_the_probabilities_of_all_architectures_sum_to_one(policy: Policy) -> None:
    assert chosen(policy.probabilities(ALL), ALL).sum() == pytest.approx(1, abs=1e-12)


def test_what_is_drawn_has_its_probability(policy: Policy) -> None:
    rng = np.random.default_rng(2)
    count = 20_000
    actions = policy.sample(rng.random((count, 4)), np.zeros((count, 4), dtype=bool))
    places = np.ravel_multi_index(tuple(actions.T), SIZES)
    found = np.bincount(places, minlength=len(ALL))
    expected = count * chosen(policy.probabilities(ALL), ALL)
    chi_square = ((found - expected) ** 2 / expected).sum()
    assert chi_square < 49.7  # 99.9 % of a chi-square with 23 degrees of freedom


def test_absent_parameters_are_not_chosen(policy: Policy) -> None:
    absent = np.array([[False, True, False, False]] * 5)
    actions = policy.sample(np.random.default_rng(3).random((5, 4)), absent)
    assert (actions[:, 1] == -1).all() and (actions[:, [0, 2, 3]] >= 0).all()


@pytest.mark.parametrize("name", list(FACTORIES))
def test_gradients_are_those_of_finite_differences(name: str, policy: Policy) -> None:
    actions = np.array([[0, 1, 0, 2], [2, -1, 0, 3], [1, 0, -1, -1]])
    weights = np.random.default_rng(4).normal(size=(3, 4))

    def value() -> float:
        """A sum of log-probabilities of what was chosen and was not absent."""
        found = policy.probabilities(actions)
        return sum(
            float(weights[b, t] * np.log(found[t][b, a]))
            for b, row in enumerate(actions)
            for t, a in enumerate(row)
            if a >= 0
        )

    found = policy.probabilities(actions)
    slopes = [
        np.where(actions[:, t, None] >= 0, weights[:, t, None] * (np.eye(n)[actions[:, t]] - p), 0)
        for t, (n, p) in enumerate(zip(SIZES, found, strict=True))
    ]
    gradient = policy.gradient(slopes)
    numeric = np.zeros_like(gradient)
    for i in range(len(gradient)):
        for sign in (1, -1):
            policy.weights[i] += sign * 1e-5
            numeric[i] += sign * value() / 2e-5
            policy.weights[i] -= sign * 1e-5
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)
    assert np.abs(gradient).max() > 0.1


def log_probability(policy: Policy, actions: np.ndarray) -> float:
    return float(np.log(chosen(policy.probabilities(actions), actions)).sum())


@pytest.mark.parametrize("update", [reinforce, PPO(epochs=3)], ids=["reinforce", "ppo"])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_what_was_better_than_expected_becomes_more_likely(
    policy: Policy, update: PolicyUpdate, advantage: float
) -> None:
    actions = np.array([[1, 0, 0, 2]])
    before = log_probability(policy, actions)
    update(policy, Adam(0.003), actions, np.array([advantage]), 0.0)
    assert (log_probability(policy, actions) - before) * advantage > 0


@pytest.mark.parametrize("update", [reinforce, PPO()], ids=["reinforce", "ppo"])
def test_without_advantages_nothing_changes(policy: Policy, update: PolicyUpdate) -> None:
    before = policy.weights.copy()
    update(policy, Adam(0.1), ALL[:7], np.zeros(7), 0.0)
    np.testing.assert_array_equal(policy.weights, before)


def test_the_mean_gradient_of_a_constant_reward_is_zero(policy: Policy) -> None:
    """Over all architectures, by their probabilities: E[grad log p] = 0."""
    found = policy.probabilities(ALL)
    likely = chosen(found, ALL)
    slopes = [
        likely[:, None] * (p - np.eye(n)[ALL[:, t]])
        for t, (n, p) in enumerate(zip(SIZES, found, strict=True))
    ]
    np.testing.assert_allclose(policy.gradient(slopes), 0, atol=1e-12)


def test_the_entropy_is_that_of_the_whole_distribution(policy: Policy) -> None:
    """The chain rule: the mean entropy of the choices is the entropy of the architectures."""
    found = policy.probabilities(ALL)
    likely = chosen(found, ALL)
    assert likely @ entropy(found, ALL) == pytest.approx(-(likely * np.log(likely)).sum())
    absent = np.full((1, 4), -1)
    assert entropy(policy.probabilities(absent), absent) == [0.0]


def test_entropy_is_made_larger(policy: Policy) -> None:
    def nats() -> float:
        found = policy.probabilities(ALL)
        return float(chosen(found, ALL) @ entropy(found, ALL))

    before = nats()
    for _ in range(40):
        reinforce(policy, Adam(0.01), ALL, np.zeros(len(ALL)), 1.0)
    assert nats() > before


def test_a_ratio_is_clipped() -> None:
    """Where the probability has grown by the clip already, a good choice moves it no further."""
    policy = FactorizedPolicy([2], np.random.default_rng(0))
    actions, advantages = np.array([[0]]), np.array([1.0])
    PPO(clip=0.2, epochs=200)(policy, Adam(0.01), actions, advantages, 0.0)
    [[likely, _]] = policy.probabilities(actions)[0]
    # From a half by a fifth to .6; the mean of Adam's past gradients carries it on for a while.
    assert 0.6 <= likely < 0.66
    free = FactorizedPolicy([2], np.random.default_rng(0))
    for _ in range(200):
        reinforce(free, Adam(0.01), actions, advantages, 0.0)
    assert free.probabilities(actions)[0][0, 0] > 0.8


@pytest.mark.parametrize("update", [reinforce, PPO(epochs=4)], ids=["reinforce", "ppo"])
@pytest.mark.parametrize("name", list(FACTORIES))
def test_the_best_arm_of_a_bandit_is_found(name: str, update: PolicyUpdate) -> None:
    """Of 24 architectures one gives a reward; choices add up to parts of it."""
    rng = np.random.default_rng(5)
    policy = FACTORIES[name](SIZES, rng)
    best = np.array([2, 1, 0, 3])
    optimizer = Adam(0.05)
    start = log_probability(policy, best[None])
    assert start == pytest.approx(-np.log(24), abs=0.3)
    seen = [start]
    for _ in range(60):
        actions = policy.sample(rng.random((16, 4)), np.zeros((16, 4), dtype=bool))
        rewards = (actions == best).mean(axis=1)
        update(policy, optimizer, actions, rewards - rewards.mean(), 0.0)
        seen.append(log_probability(policy, best[None]))
    assert np.exp(seen[-1]) > 0.8
    assert seen[20] > start and seen[40] > seen[20]


@pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("layers", 0), ("hidden", 2.5)])
def test_wrong_sizes(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value}; allowed is an integer of 1 or"):
        LSTMPolicy([2], np.random.default_rng(0), **{name: value})


def test_wrong_clip() -> None:
    with pytest.raises(ValueError, match="`clip` is 1"):
        PPO(clip=1)
    with pytest.raises(ValueError, match="`epochs` is 0"):
        PPO(epochs=0)
