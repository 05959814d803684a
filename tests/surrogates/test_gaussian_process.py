"""The Gaussian process: textbook formulas, samples, learning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import spearmanr

from optuna_nas.spaces import NASBench201Space
from optuna_nas.surrogates import (
    FoldedCountsEncoding,
    GaussianProcess,
    OneHotEncoding,
    PathEncoding,
)
from optuna_nas.surrogates.predictors.gaussian_process import Hyperparameters, _Covariance
from optuna_nas.surrogates.predictors.kernels import Exponential, Kernel, Matern, distances

KERNELS = [Matern(), Exponential()]
FIXED = Hyperparameters(amplitude=1.3, length=2.0, noise=0.2)


def test_distances_count_bits(rng: np.random.Generator) -> None:
    first, second = rng.integers(2, size=(5, 9)), rng.integers(2, size=(4, 9))
    expected = [[int((a != b).sum()) for b in second] for a in first]
    assert distances(first.astype(float), second.astype(float)).tolist() == expected


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels(kernel: Kernel, rng: np.random.Generator) -> None:
    ratios = np.array([0.0, 0.1, 1.0, 7.0])
    correlation, slope = kernel.correlation(ratios)
    assert correlation[0] == 1
    assert (np.diff(correlation) < 0).all()
    step = 1e-6  # in the logarithm of the length
    longer, shorter = (kernel.correlation(ratios * np.exp(-s))[0] for s in (step, -step))
    assert slope == pytest.approx((longer - shorter) / (2 * step), abs=1e-6)
    waves = kernel.frequencies(rng, 3, 40_000)
    for ratio in (0.3, 2.0):
        direction = rng.normal(size=3)
        step_vector = direction * np.sqrt(ratio) / np.linalg.norm(direction)
        found = np.cos(step_vector @ waves).mean()
        assert found == pytest.approx(kernel.correlation(np.array(ratio))[0], abs=0.02)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_posterior_is_the_textbook_s(kernel: Kernel, rng: np.random.Generator) -> None:
    features, targets = rng.normal(size=(12, 3)), rng.normal(loc=50, scale=4, size=12)
    unseen = rng.normal(size=(6, 3))
    process = GaussianProcess(kernel=kernel, hyperparameters=FIXED)
    process.fit(features, targets, rng)

    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squares = ((a[:, None] - b[None]) ** 2).sum(axis=2)
        return np.asarray(1.3**2 * kernel.correlation(squares / 2.0)[0])

    inverse = np.linalg.inv(k(features, features) + 0.2**2 * np.eye(12))
    standardised = (targets - targets.mean()) / targets.std()
    mean = k(unseen, features) @ inverse @ standardised
    covariance = k(unseen, unseen) - k(unseen, features) @ inverse @ k(features, unseen)
    spread = np.sqrt(np.diagonal(covariance)) * targets.std()
    found = process.posterior(unseen)
    assert found[0] == pytest.approx(mean * targets.std() + targets.mean())
    assert found[1] == pytest.approx(spread)
    members = process.predict(unseen)
    assert members.shape == (16, 6)
    assert members.mean(axis=0) == pytest.approx(found[0])
    assert members.std(axis=0) == pytest.approx(found[1])


def test_samples_go_together_as_the_posterior_does(rng: np.random.Generator) -> None:
    features, targets = rng.normal(size=(10, 2)), rng.normal(size=10)
    unseen = np.array([[0.0, 0.0], [0.05, 0.0], [3.0, 3.0], [-3.0, 3.0]])
    process = GaussianProcess(hyperparameters=FIXED, num_samples=4000)
    process.fit(features, targets, rng)
    covariance = process._covariance
    assert covariance is not None
    across = covariance.between(features, unseen)
    joint = covariance.between(unseen, unseen)
    joint = joint - across.T @ np.linalg.solve(covariance.noisy(), across)
    spread = np.sqrt(np.diagonal(joint))
    found = np.corrcoef(process.predict(unseen).T)
    assert found == pytest.approx(joint / spread[:, None] / spread, abs=0.2)
    assert found[0, 1] > 0.9


def test_samples_of_a_row_do_not_depend_on_other_rows(rng: np.random.Generator) -> None:
    features = rng.normal(size=(30, 4))
    process = GaussianProcess()
    process.fit(features[:20], rng.normal(size=20), rng)
    together = process.predict(features)
    apart = np.hstack([process.predict(features[row : row + 1]) for row in range(30)])
    assert apart == pytest.approx(together, abs=1e-5)


def test_data_without_noise_are_interpolated(rng: np.random.Generator) -> None:
    features = rng.normal(size=(15, 3))
    targets = 100 + np.sin(features).sum(axis=1)
    process = GaussianProcess(
        hyperparameters=Hyperparameters(amplitude=1.0, length=3.0, noise=1e-5)
    )
    process.fit(features, targets, rng)
    assert process.predict(features) == pytest.approx(np.tile(targets, (16, 1)), abs=1e-3)


def test_the_gradient_of_the_hyperparameters(rng: np.random.Generator) -> None:
    features, targets = rng.normal(size=(9, 5)), rng.normal(size=9)
    for kernel in KERNELS:
        covariance = _Covariance(kernel, [slice(0, 2), slice(2, 5)], features)
        theta = covariance.theta + rng.normal(size=5) / 2
        observed = covariance._observed

        def loss(
            theta: np.ndarray,
            covariance: _Covariance = covariance,
            observed: list[np.ndarray] = observed,
        ) -> float:
            return covariance.loss(theta, observed, targets)[0]

        gradient = covariance.loss(theta, observed, targets)[1]
        assert gradient == pytest.approx(approx_fprime(theta, loss, 1e-6), abs=1e-3)


def test_the_part_that_matters_gets_the_amplitude(rng: np.random.Generator) -> None:
    features = rng.integers(2, size=(80, 12)).astype(float)
    process = GaussianProcess(encoding=OneHotEncoding())
    process._parts = [slice(0, 6), slice(6, 12)]
    process.fit(features, features[:, 6:].sum(axis=1), rng)
    covariance = process._covariance
    assert covariance is not None
    useless, useful, *_, noise = covariance.theta
    assert useful > useless + 1
    assert noise < np.log(0.05)


def test_parts_come_from_the_encoding(rng: np.random.Generator) -> None:
    space, process = NASBench201Space(), GaussianProcess()
    process.prepare(space, FoldedCountsEncoding())
    assert process._parts == [slice(0, 30), slice(30, 70), slice(70, 74)]


def test_it_ranks_unseen_cells(rng: np.random.Generator) -> None:
    space, encoding = NASBench201Space(), FoldedCountsEncoding()
    cells = [space.random(rng) for _ in range(360)]
    errors = PathEncoding().encode(space, cells) @ rng.normal(size=155)
    process = GaussianProcess()
    process.prepare(space, encoding)
    features = encoding.encode(space, cells)
    process.fit(features[:60], errors[:60], rng)
    predictions = process.predict(features[60:])
    assert spearmanr(predictions.mean(axis=0), errors[60:]).statistic > 0.4
    inside = np.abs(errors[60:] - predictions.mean(axis=0)) < 2 * predictions.std(axis=0)
    assert inside.mean() > 0.65


def test_many_observations_share_hyperparameters_learnt_from_some(
    rng: np.random.Generator,
) -> None:
    features = rng.normal(size=(60, 2))
    targets = np.sin(features).sum(axis=1)
    process = GaussianProcess(max_rows=20)
    process.fit(features, targets, rng)
    assert process.predict(features).mean(axis=0) == pytest.approx(targets, abs=0.2)


@pytest.mark.parametrize("number", [1, 2, 3, 9])
def test_degenerate_data(number: int, rng: np.random.Generator) -> None:
    features = rng.integers(2, size=(number, 6)).astype(np.float32)
    unseen = rng.integers(2, size=(7, 6)).astype(np.float32)
    for rows in (features, np.repeat(features[:1], number, axis=0)):
        for targets in (np.full(number, 3.5), np.arange(number, dtype=float)):
            for process in (GaussianProcess(), GaussianProcess.published()):
                process.fit(rows, targets, rng)
                members = process.predict(unseen)
                assert members.shape == (16, 7)
                assert np.isfinite(members).all()
                if targets.std() == 0:
                    assert members.mean(axis=0) == pytest.approx(np.full(7, targets[0]))
    process = GaussianProcess()
    process.fit(features, np.arange(number, dtype=float), rng)
    other = 1 - features[:1]
    assert process.predict(other).std(axis=0).min() > 0  # what differs is uncertain


def test_it_is_repeatable(rng: np.random.Generator) -> None:
    features, targets = rng.normal(size=(20, 3)), rng.normal(size=20)
    process = GaussianProcess()
    process.fit(features, targets, np.random.default_rng(3))
    first = process.predict(features)
    assert np.array_equal(process.predict(features), first)
    process.fit(features, targets, np.random.default_rng(3))
    assert np.array_equal(process.predict(features), first)
    process.fit(features, targets, np.random.default_rng(4))
    assert not np.array_equal(process.predict(features), first)


def test_the_published_process() -> None:
    process = GaussianProcess.published()
    assert process.hyperparameters == (1.5, 9.0, 1e-5)
    assert isinstance(process.kernel, Exponential)
    assert isinstance(process.encoding, PathEncoding)


def test_predicting_needs_a_fit() -> None:
    with pytest.raises(RuntimeError, match="call `fit` before"):
        GaussianProcess().predict(np.zeros((1, 3)))


@pytest.mark.parametrize(("name", "value"), [("num_samples", 1), ("max_rows", 1)])
def test_bad_numbers(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value}; allowed is an integer of 2 or"):
        GaussianProcess(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`hyperparameters\.noise` is 0; allowed are positive"):
        GaussianProcess(hyperparameters=Hyperparameters(1, 1, 0))
