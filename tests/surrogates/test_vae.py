"""The autoencoder: reconstruction, its training once, regression on the latent space."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.stats import spearmanr

from optuna_nas.spaces import FlatSpace, NASBench201Space
from optuna_nas.surrogates import MLPEnsemble, OneHotEncoding, PathEncoding, VAEPredictor

S201 = NASBench201Space()
FAST: dict[str, Any] = {"num_random": 50, "steps": 20, "latent": 4, "width": 8}


@pytest.fixture(scope="module")
def trained() -> VAEPredictor:
    predictor = VAEPredictor(encoding=OneHotEncoding(), steps=800)
    predictor.prepare(S201, predictor.encoding)
    _ = predictor.autoencoder
    return predictor


def test_unseen_cells_are_reconstructed(trained: VAEPredictor, rng: np.random.Generator) -> None:
    rows = OneHotEncoding().encode(S201, [S201.random(rng) for _ in range(300)])
    latent = trained.autoencoder.encode(rows)
    assert latent.shape == (300, 16)
    decoded = trained.autoencoder.decode(latent)
    assert decoded.shape == rows.shape
    right = rows.reshape(300, 6, 5).argmax(axis=2) == decoded.reshape(300, 6, 5).argmax(axis=2)
    assert right.mean() > 0.8  # chance is 0.2


def test_the_latent_space_is_near_the_prior(
    trained: VAEPredictor, rng: np.random.Generator
) -> None:
    rows = OneHotEncoding().encode(S201, [S201.random(rng) for _ in range(300)])
    latent = trained.autoencoder.encode(rows)
    assert np.abs(latent.mean(axis=0)).max() < 0.5
    assert 0.4 < latent.std() < 1.2


def test_the_regression_ranks_unseen_cells(
    trained: VAEPredictor, rng: np.random.Generator
) -> None:
    cells = [S201.random(rng) for _ in range(260)]
    features = OneHotEncoding().encode(S201, cells)
    errors = features @ rng.random(30)
    for regressor in (trained.regressor, MLPEnsemble()):
        predictor = copy.copy(trained)
        predictor.regressor = regressor
        predictor.fit(features[:60], errors[:60], rng)
        members = predictor.predict(features[60:])
        assert spearmanr(members.mean(axis=0), errors[60:]).statistic > 0.4
        assert members.shape == (16 if regressor is trained.regressor else 5, 200)


def test_it_is_trained_once_for_a_space_and_an_encoding() -> None:
    predictor = VAEPredictor(**FAST)
    predictor.prepare(S201, predictor.encoding)
    first = predictor.autoencoder
    predictor.prepare(NASBench201Space(), predictor.encoding)
    assert predictor.autoencoder is first
    predictor.prepare(S201, PathEncoding())
    assert predictor.autoencoder is not first
    assert predictor.autoencoder.encode(np.zeros((2, 155))).shape == (2, 4)


def test_it_is_repeatable_and_leaves_torch_alone(rng: np.random.Generator) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    features = OneHotEncoding().encode(S201, [S201.random(rng) for _ in range(20)])
    targets = rng.normal(size=20)
    found = []
    for seed in (1, 1, 2):
        predictor = VAEPredictor(**FAST)
        predictor.prepare(S201, OneHotEncoding())
        predictor.fit(features, targets, np.random.default_rng(seed))
        found.append(predictor.predict(features))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    for copied in (copy.deepcopy(predictor), pickle.loads(pickle.dumps(predictor))):
        assert np.array_equal(copied.predict(features), found[2])


def test_numbers_and_constant_columns(rng: np.random.Generator) -> None:
    space = FlatSpace(
        {
            "x": FloatDistribution(0, 8),
            "kind": CategoricalDistribution(("a", "b", "c")),
            "only": CategoricalDistribution(("one",)),
        }
    )
    predictor = VAEPredictor(num_random=200, steps=600, beta=0.01)
    predictor.prepare(space, OneHotEncoding())
    rows = OneHotEncoding().encode(space, [space.random(rng) for _ in range(50)])
    decoded = predictor.autoencoder.decode(predictor.autoencoder.encode(rows))
    assert decoded[:, 0] == pytest.approx(rows[:, 0], abs=0.5)
    assert np.array_equal(decoded[:, 4], rows[:, 4])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_degenerate_data(number: int, rng: np.random.Generator) -> None:
    predictor = VAEPredictor(**FAST)
    predictor.prepare(S201, predictor.encoding)
    for targets in (np.full(number, 2.0), np.arange(number, dtype=float)):
        features = predictor.encoding.encode(S201, [S201.random(rng)] * number)
        predictor.fit(features, targets, rng)
        assert np.isfinite(predictor.predict(features)).all()


def test_a_space_of_one_architecture(rng: np.random.Generator) -> None:
    space = FlatSpace({"only": CategoricalDistribution(("one",))})
    predictor = VAEPredictor(**FAST)
    predictor.prepare(space, OneHotEncoding())
    rows = OneHotEncoding().encode(space, [space.random(rng)] * 3)
    predictor.fit(rows, np.arange(3.0), rng)
    assert predictor.predict(rows).mean(axis=0) == pytest.approx([1, 1, 1])


def test_fitting_needs_a_space() -> None:
    with pytest.raises(RuntimeError, match="call `prepare` before"):
        VAEPredictor().fit(np.zeros((2, 3)), np.zeros(2), np.random.default_rng(0))


@pytest.mark.parametrize(("name", "value"), [("latent", 0), ("num_random", 1), ("beta", 0)])
def test_bad_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}; allowed "):
        VAEPredictor(**{name: value})
