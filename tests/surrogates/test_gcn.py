"""Graph networks: what they must not depend on, and what they learn."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.stats import spearmanr

from optuna_nas.spaces import FlatSpace, NASBench101Space, NASBench201Space, SearchSpace
from optuna_nas.surrogates import GCNEnsemble, GraphEncoding, OneHotEncoding, PathEncoding

S101, S201 = NASBench101Space(), NASBench201Space()
FAST: dict[str, Any] = {"num_members": 2, "width": 8, "dense": 8, "steps": 10}


def fitted(
    space: SearchSpace, number: int, rng: np.random.Generator, **options: Any
) -> tuple[GCNEnsemble, np.ndarray]:
    cells = [space.random(rng) for _ in range(number)]
    features = GraphEncoding().encode(space, cells)
    ensemble = GCNEnsemble(**(FAST | options))
    ensemble.prepare(space, ensemble.encoding)
    ensemble.fit(features, rng.normal(size=number), rng)
    return ensemble, features


def test_numbering_the_vertices_changes_nothing(rng: np.random.Generator) -> None:
    ensemble, features = fitted(S101, 20, rng, layers=3)
    layout = GraphEncoding().layout(S101)
    values, adjacency = layout.unflatten(features)
    order = rng.permutation(layout.vertices)
    assert order.tolist() != sorted(order)
    shuffled = np.hstack(
        [
            values[:, order].reshape(20, -1),
            adjacency[:, order][:, :, order].reshape(20, -1),
        ]
    )
    assert not np.array_equal(shuffled, features)
    expected = ensemble.predict(features)
    assert ensemble.predict(shuffled) == pytest.approx(expected, abs=1e-5)
    assert expected.std() > 0.01


def test_the_direction_of_edges_matters(rng: np.random.Generator) -> None:
    ensemble, features = fitted(S101, 20, rng)
    values, adjacency = GraphEncoding().layout(S101).unflatten(features)
    turned = np.hstack([values.reshape(20, -1), adjacency.transpose(0, 2, 1).reshape(20, -1)])
    assert np.abs(ensemble.predict(turned) - ensemble.predict(features)).max() > 1e-3


def test_a_layer_by_hand(rng: np.random.Generator) -> None:
    ensemble, features = fitted(S101, 6, rng, layers=1)
    network, layout = ensemble._network, GraphEncoding().layout(S101)
    assert network is not None
    values, adjacency = layout.unflatten(features)
    incoming, outgoing = (weight[0].numpy() for weight in network._convolutions[0])
    for row in range(6):
        present = np.diagonal(adjacency[row]) > 0
        a = adjacency[row][np.ix_(present, present)]
        h = values[row][present]
        received = a.T / a.T.sum(axis=1, keepdims=True) @ h @ incoming
        sent = a / a.sum(axis=1, keepdims=True) @ h @ outgoing
        out = (np.maximum(received, 0) + np.maximum(sent, 0)) / 2
        summary = np.concatenate([out.mean(axis=0), out.sum(axis=0) / layout.vertices])
        hidden = np.maximum(
            summary @ network._dense[0].numpy() + network._dense_bias[0, 0].numpy(), 0
        )
        value = (hidden @ network._last[0].numpy())[0] + float(network._last_bias[0, 0, 0])
        found = (ensemble.predict(features)[0, row] - ensemble._mean) / ensemble._scale
        assert found == pytest.approx(value, abs=1e-5)


def test_it_ranks_unseen_cells(rng: np.random.Generator) -> None:
    for space in (S201, S101):
        cells = [space.random(rng) for _ in range(260)]
        paths = PathEncoding(fold=True).encode(space, cells)
        errors = paths @ rng.random(paths.shape[1])
        features = GraphEncoding().encode(space, cells)
        ensemble = GCNEnsemble(width=16, dense=16, steps=100)
        ensemble.prepare(space, ensemble.encoding)
        ensemble.fit(features[:60], errors[:60], rng)
        members = ensemble.predict(features[60:])
        assert members.shape == (5, 200)
        assert spearmanr(members.mean(axis=0), errors[60:]).statistic > 0.6


def test_parameters_without_structure(rng: np.random.Generator) -> None:
    space = FlatSpace(
        {"kind": CategoricalDistribution(("a", "b", "c")), "x": FloatDistribution(0, 1)}
    )
    cells = [space.random(rng) for _ in range(80)]
    errors = np.array([cell["x"] + (cell["kind"] == "b") for cell in cells])
    features = GraphEncoding().encode(space, cells)
    ensemble = GCNEnsemble(width=16, dense=16, steps=100, weight_decay=0.1)
    ensemble.prepare(space, ensemble.encoding)
    ensemble.fit(features[:40], errors[:40], rng)
    assert spearmanr(ensemble.predict(features[40:]).mean(axis=0), errors[40:]).statistic > 0.8


@pytest.mark.parametrize("number", [1, 2, 3, 40])
def test_degenerate_data(number: int, rng: np.random.Generator) -> None:
    dead = S201.architecture(dict.fromkeys(S201.distributions, "none"))
    encoding = GraphEncoding()
    for cells in ([dead] * number, [S201.random(rng) for _ in range(number)]):
        for targets in (np.full(number, 5.0), np.arange(number, dtype=float)):
            ensemble = GCNEnsemble(**FAST)
            ensemble.prepare(S201, encoding)
            features = encoding.encode(S201, cells)
            ensemble.fit(features, targets, rng)
            assert np.isfinite(ensemble.predict(features)).all()


def test_it_is_repeatable_and_leaves_torch_alone(rng: np.random.Generator) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    found = []
    for seed in (1, 1, 2):
        ensemble, features = fitted(S201, 40, np.random.default_rng(seed))
        found.append(ensemble.predict(features))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    for copied in (copy.deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))):
        assert np.array_equal(copied.predict(features), found[2])


def test_the_published_ensemble() -> None:
    ensemble = GCNEnsemble.published()
    assert (ensemble.layers, ensemble.width, ensemble.dense) == (4, 144, 128)
    assert (ensemble.learning_rate, ensemble.batch_size) == (1e-4, 7)
    assert (ensemble.steps, ensemble.epochs) == (None, 300)


def test_wrong_order_of_calls_and_wrong_encoding() -> None:
    ensemble = GCNEnsemble()
    with pytest.raises(RuntimeError, match="call `prepare` before"):
        ensemble.fit(np.zeros((2, 3)), np.zeros(2), np.random.default_rng(0))
    with pytest.raises(RuntimeError, match="call `fit` before"):
        ensemble.predict(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`encoding` is OneHotEncoding; a graph network needs"):
        ensemble.prepare(S201, OneHotEncoding())


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_members", 0), ("layers", 0), ("learning_rate", 0), ("weight_decay", -1), ("steps", 0)],
)
def test_bad_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}; allowed "):
        GCNEnsemble(**{name: value})
