"""The Bayesian network: the sampler samples, the model learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from optuna_nas.spaces import NASBench201Space
from optuna_nas.surrogates import BayesianNetwork, OneHotEncoding, PathEncoding
from optuna_nas.surrogates.predictors.bayesian_network import (
    _PRIOR_VARIANCE,
)
from optuna_nas.surrogates.predictors.sghmc import AdaptiveSGHMC
from optuna_nas.surrogates.predictors.stacked_network import TANH, StackedNetwork

FAST: dict[str, Any] = {
    "num_chains": 2,
    "hidden": (8,),
    "steps": 60,
    "burn_in": 30,
    "thinning": 10,
}


def test_the_sampler_samples_a_normal_distribution(rng: np.random.Generator) -> None:
    """Two parameters of very different scale, with 64 chains."""
    mean, spread = np.array([3.0, -1.0]), np.array([2.0, 0.05])
    parameters = np.zeros((64, 2))
    sampler = AdaptiveSGHMC(parameters, step_size=0.1, friction=0.05)
    kept = []
    for step in range(4000):
        gradient = (parameters - mean) / spread**2
        sampler.step(gradient, rng, adapt=step < 1000, minibatch=False)
        if step >= 2000 and step % 20 == 0:
            kept.append(parameters.copy())
    samples = np.concatenate(kept)
    assert samples.mean(axis=0) == pytest.approx(mean, abs=0.15)
    assert samples.std(axis=0) == pytest.approx(spread, rel=0.1)


def test_the_posterior_of_a_linear_model(rng: np.random.Generator) -> None:
    """Without hidden layers and with known noise the posterior is normal, in closed form."""
    features = rng.normal(size=(20, 2))
    noise = 0.5
    targets = features @ np.array([1.0, -0.5]) + noise * rng.normal(size=20)
    targets = (targets - targets.mean()) / targets.std()
    network = BayesianNetwork(
        num_chains=32, hidden=(), steps=4000, burn_in=1000, step_size=0.05, noise=noise
    )
    network.fit(features, targets, rng)
    unseen = np.array([[0.0, 0.0], [2.0, 1.0], [-3.0, 3.0]])
    design, design_unseen = (
        np.column_stack([rows, np.ones(len(rows))]) for rows in (features, unseen)
    )
    prior = np.diag([2 / _PRIOR_VARIANCE] * 2 + [1 / _PRIOR_VARIANCE])
    covariance = np.linalg.inv(design.T @ design / noise**2 + prior)
    mean = covariance @ design.T @ targets / noise**2
    members = network.predict(unseen)
    assert members.shape == (32 * 60, 3)
    assert members.mean(axis=0) == pytest.approx(design_unseen @ mean, abs=0.05)
    spread = np.sqrt(np.einsum("ij,jk,ik->i", design_unseen, covariance, design_unseen))
    assert members.std(axis=0) == pytest.approx(spread, rel=0.15)


def test_the_gradient_is_that_of_differences(rng: np.random.Generator) -> None:
    network = StackedNetwork(2, (4, 3, 1), rng, TANH)
    inputs = rng.normal(size=(2, 5, 4)).astype(np.float32)
    slopes = rng.normal(size=(2, 5)).astype(np.float32)
    network.forward(inputs)
    gradient = network.backward(slopes).copy()
    for index in range(0, network.parameters.size, 3):
        changed = []
        for step in (1e-2, -1e-2):
            network.parameters[index] += step
            changed.append(float((network.forward(inputs) * slopes).sum()))
            network.parameters[index] -= step
        assert gradient[index] == pytest.approx((changed[0] - changed[1]) / 2e-2, abs=2e-2)


def test_noise_is_learnt(rng: np.random.Generator) -> None:
    """More noise in the targets means more uncertainty far from the mean of the data."""
    features = rng.normal(size=(40, 3))
    spread = []
    for noise in (0.01, 3.0):
        targets = features.sum(axis=1) + noise * rng.normal(size=40)
        network = BayesianNetwork(hidden=(), num_chains=8)
        network.fit(features, targets, rng)
        spread.append(network.predict(features).std(axis=0).mean() / targets.std())
    assert spread[1] > 1.5 * spread[0]


def test_it_ranks_unseen_cells(rng: np.random.Generator) -> None:
    space, encoding = NASBench201Space(), OneHotEncoding()
    cells = [space.random(rng) for _ in range(260)]
    features = encoding.encode(space, cells)
    errors = features @ rng.random(30)
    network = BayesianNetwork()
    network.fit(features[:60], errors[:60], rng)
    predictions = network.predict(features[60:])
    assert predictions.shape == (40, 200)
    assert spearmanr(predictions.mean(axis=0), errors[60:]).statistic > 0.5


@pytest.mark.parametrize("number", [1, 2, 3, 40])
def test_degenerate_data(number: int, rng: np.random.Generator) -> None:
    for features in (rng.random((number, 5)), np.ones((number, 5))):
        for targets in (np.full(number, 7.0), np.arange(number, dtype=float)):
            network = BayesianNetwork(**FAST)
            network.fit(features, targets, rng)
            members = network.predict(features)
            assert members.shape == (6, number)
            assert np.isfinite(members).all()


def test_it_is_repeatable(rng: np.random.Generator) -> None:
    features, targets = rng.random((50, 4)), rng.random(50)
    network = BayesianNetwork(**FAST)
    found = []
    for seed in (1, 1, 2):
        network.fit(features, targets, np.random.default_rng(seed))
        found.append(network.predict(features))
        assert np.array_equal(network.predict(features), found[-1])
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_the_published_network() -> None:
    network = BayesianNetwork.published()
    assert (network.num_chains, network.hidden) == (1, (50, 50, 50))
    assert (network.steps, network.burn_in, network.thinning) == (10_000, 1000, 50)
    assert network.step_size == 0.01
    assert isinstance(network.encoding, PathEncoding)


def test_predicting_needs_a_fit() -> None:
    with pytest.raises(RuntimeError, match="call `fit` before"):
        BayesianNetwork().predict(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_chains", 0), ("burn_in", -1), ("step_size", 0), ("friction", 1.0), ("noise", -1.0)],
)
def test_bad_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}; allowed "):
        BayesianNetwork(**{name: value})


def test_nothing_kept_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="`steps` is 100, `burn_in` 80 and `thinning` 50, so that"
    ):
        BayesianNetwork(steps=100, burn_in=80)
