"""The ensemble: gradients, independence of the members, learning."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from optuna_nas.spaces import NASBench201Space
from optuna_nas.surrogates import (
    MAE,
    MAPE,
    MSE,
    FoldedEncoding,
    Loss,
    MLPEnsemble,
    OneHotEncoding,
    PathEncoding,
)
from optuna_nas.surrogates.predictors.mlp import _Adam
from optuna_nas.surrogates.predictors.stacked_network import StackedNetwork

SIZES = (7, 5, 4, 1)
Data = tuple[np.ndarray, np.ndarray]


def layers(network: StackedNetwork) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(network.weights, network._biases, strict=True))


@pytest.fixture
def network(rng: np.random.Generator) -> StackedNetwork:
    network = StackedNetwork(3, SIZES, rng)
    network.parameters += rng.normal(size=network.parameters.shape, scale=0.1).astype(np.float32)
    return network


@pytest.fixture
def data(rng: np.random.Generator) -> Data:
    return rng.random((40, 9)), rng.normal(loc=20, scale=3, size=40)


def test_initial_weights_are_glorot_uniform(rng: np.random.Generator) -> None:
    network = StackedNetwork(4, (30, 20, 1), rng)
    for (weight, bias), (inputs, outputs) in zip(
        layers(network), pairwise((30, 20, 1)), strict=True
    ):
        limit = np.sqrt(6 / (inputs + outputs))
        assert weight.shape == (4, inputs, outputs)
        assert np.abs(weight).max() <= limit
        assert weight.std() == pytest.approx(limit / np.sqrt(3), rel=0.15)
        assert not bias.any()
    assert network.parameters.size == 4 * (31 * 20 + 21)


def test_stacked_members_are_separate_networks(
    network: StackedNetwork, rng: np.random.Generator
) -> None:
    inputs = rng.normal(size=(3, 6, 7)).astype(np.float32)
    outputs = network.forward(inputs)
    assert outputs.shape == (3, 6)
    for member in range(3):
        values = inputs[member]
        for index, (weight, bias) in enumerate(layers(network)):
            values = values @ weight[member] + bias[member, 0]
            if index < len(SIZES) - 2:
                values = np.maximum(values, 0)
        assert outputs[member] == pytest.approx(values[:, 0], rel=1e-5)


def test_gradient_is_that_of_automatic_differentiation(
    network: StackedNetwork, rng: np.random.Generator
) -> None:
    inputs = rng.normal(size=(3, 6, 7)).astype(np.float32)
    targets = rng.normal(size=(3, 6)).astype(np.float32)
    outputs = network.forward(inputs)
    gradient = network.backward(2 * (outputs - targets) / 6).copy()

    expected, total = [], torch.zeros(())
    parameters = [(torch.tensor(w), torch.tensor(b)) for w, b in layers(network)]
    for weight, bias in parameters:
        weight.requires_grad_()
        bias.requires_grad_()
    for member in range(3):
        values = torch.tensor(inputs[member])
        for index, (weight, bias) in enumerate(parameters):
            values = values @ weight[member] + bias[member]
            if index < len(SIZES) - 2:
                values = values.relu()
        total = total + ((values[:, 0] - torch.tensor(targets[member])) ** 2).mean()
    total.backward()  # type: ignore[no-untyped-call]
    for weight, bias in parameters:
        assert weight.grad is not None
        assert bias.grad is not None
        expected += [weight.grad.numpy().ravel(), bias.grad.numpy().ravel()]
    assert np.abs(gradient).max() > 0.1
    assert gradient == pytest.approx(np.concatenate(expected), rel=1e-4, abs=1e-6)


def test_a_member_s_gradient_does_not_depend_on_the_others(
    network: StackedNetwork, rng: np.random.Generator
) -> None:
    inputs = rng.normal(size=(3, 6, 7)).astype(np.float32)
    network.forward(inputs)
    slopes = np.zeros((3, 6), dtype=np.float32)
    slopes[1] = 1
    network.backward(slopes)
    for gradients in (network._weight_slopes, network._bias_slopes):
        for gradient in gradients:
            assert gradient[1].any()
            assert not gradient[[0, 2]].any()


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_adam(decay: float, rng: np.random.Generator) -> None:
    start = rng.normal(size=12).astype(np.float32)
    ours = start.copy()
    optimizer = _Adam(ours, 0.01, decay)
    theirs = torch.nn.Parameter(torch.tensor(start))
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.99), weight_decay=decay)
    for _ in range(25):
        gradient = rng.normal(size=12).astype(np.float32)
        optimizer.step(gradient.copy())
        theirs.grad = torch.tensor(gradient)
        reference.step()
    assert np.abs(ours - start).max() > 0.02
    assert ours == pytest.approx(theirs.detach().numpy(), abs=1e-5)


def test_adam_never_computes_with_denormal_numbers(rng: np.random.Generator) -> None:
    """The moments of a unit that is never active again fade to zero, not to almost nothing."""
    parameters = rng.normal(size=12).astype(np.float32)
    optimizer = _Adam(parameters, 0.01, 1.0)
    for step in range(20_000):
        optimizer.step(rng.normal(size=12).astype(np.float32) * (step < 5))
        for vector in (parameters, optimizer._first, optimizer._second):
            assert not ((vector != 0) & (np.abs(vector) < np.finfo(np.float32).tiny)).any()
    assert not optimizer._first.any()
    assert not optimizer._second.any()


@pytest.mark.parametrize("loss", [MAE(), MSE(), MAPE(), MAPE(0.0)])
def test_predictions_have_the_shape_and_unit_of_the_targets(
    loss: Loss, data: Data, rng: np.random.Generator
) -> None:
    features, targets = data
    ensemble = MLPEnsemble(num_members=4, loss=loss, weight_decay=0.0, epochs=150)
    ensemble.fit(features, targets, rng)
    members = ensemble.predict(features[:11])
    assert members.shape == (4, 11)
    assert members.dtype == np.float64
    # It fits what it has seen better than the mean does.
    whole = ensemble.predict(features).mean(axis=0)
    assert np.abs(whole - targets).mean() < 0.7 * np.abs(np.median(targets) - targets).mean()


def test_each_member_sees_its_own_order_of_all_data(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    seen: list[np.ndarray] = []
    forward = StackedNetwork.forward

    def spy(network: StackedNetwork, inputs: np.ndarray) -> np.ndarray:
        seen.append(inputs.argmax(axis=2))  # e x b: which rows of the identity
        return forward(network, inputs)

    monkeypatch.setattr(StackedNetwork, "forward", spy)
    MLPEnsemble(num_members=3, epochs=4, batch_size=8).fit(np.eye(20), rng.random(20), rng)
    assert [batch.shape[1] for batch in seen] == 4 * [8, 8, 4]
    orders = [np.concatenate(seen[start : start + 3], axis=1) for start in (0, 3, 6, 9)]
    assert all((np.sort(order, axis=1) == np.arange(20)).all() for order in orders)
    assert len({tuple(row) for order in orders for row in order.tolist()}) == 12


def test_members_differ(data: Data, rng: np.random.Generator) -> None:
    features, targets = data
    ensemble = MLPEnsemble(epochs=10)
    ensemble.fit(features, targets, rng)
    members = ensemble.predict(features)
    for first in range(5):
        for second in range(first):
            assert np.abs(members[first] - members[second]).max() > 1e-3


def test_a_candidate_s_prediction_does_not_depend_on_the_others(
    data: Data, rng: np.random.Generator
) -> None:
    features, targets = data
    ensemble = MLPEnsemble(epochs=5)
    ensemble.fit(features, targets, rng)
    alone = [ensemble.predict(features[i : i + 1])[:, 0] for i in range(5)]
    assert pytest.approx(ensemble.predict(features)[:, :5], rel=1e-5) == np.array(alone).T


@pytest.mark.parametrize("loss", [MAE(), MSE(), MAPE()])
def test_deterministic_given_the_generator(loss: Loss, data: Data) -> None:
    features, targets = data
    predictions = []
    for seed in (1, 1, 2):
        ensemble = MLPEnsemble(epochs=20, loss=loss)
        ensemble.fit(features, targets, np.random.default_rng(seed))
        predictions.append(ensemble.predict(features))
    assert np.array_equal(predictions[0], predictions[1])
    assert not np.allclose(predictions[0], predictions[2])


def test_a_fit_forgets_the_one_before(data: Data) -> None:
    features, targets = data
    used, fresh = MLPEnsemble(epochs=10), MLPEnsemble(epochs=10)
    used.fit(features[:7, :4], -targets[:7], np.random.default_rng(0))
    for ensemble in (used, fresh):
        ensemble.fit(features, targets, np.random.default_rng(3))
    assert np.array_equal(used.predict(features), fresh.predict(features))


@pytest.mark.parametrize("loss", [MAE(), MSE(), MAPE()])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 100.0), (0.01, 0.0), (50.0, -7.0)])
def test_predictions_follow_the_unit_and_origin_of_the_targets(
    loss: Loss, scale: float, shift: float, data: Data
) -> None:
    features, targets = data
    plain, moved = MLPEnsemble(epochs=3, loss=loss), MLPEnsemble(epochs=3, loss=loss)
    plain.fit(features, targets, np.random.default_rng(0))
    moved.fit(features, scale * targets + shift, np.random.default_rng(0))
    expected = scale * plain.predict(features) + shift
    assert moved.predict(features) == pytest.approx(expected, abs=0.02 * scale * targets.std())


@pytest.mark.parametrize("number", [1, 2, 31, 33])
def test_any_number_of_observations(number: int, data: Data, rng: np.random.Generator) -> None:
    features, targets = data
    ensemble = MLPEnsemble(epochs=60)
    ensemble.fit(features[:number], targets[:number], rng)
    members = ensemble.predict(features)
    assert np.isfinite(members).all()
    if number == 1:
        assert members[:, 0] == pytest.approx(targets[0], abs=0.5)


def test_constant_targets(data: Data, rng: np.random.Generator) -> None:
    features, _ = data
    for loss in (MAE(), MSE(), MAPE()):
        ensemble = MLPEnsemble(epochs=60, loss=loss)
        ensemble.fit(features, np.full(len(features), 12.5), rng)
        assert ensemble.predict(features) == pytest.approx(12.5, abs=0.5)


def test_weights_draw_the_fit_to_the_heavy_targets(rng: np.random.Generator) -> None:
    """One feature, contradicting targets: the prediction is their weighted median."""
    features, targets = np.ones((9, 1)), np.array([1.0] * 4 + [10.0] * 5)
    plain = MLPEnsemble(epochs=400, weight_decay=0.0)
    weighted = MLPEnsemble(epochs=400, weight_decay=0.0, loss=MAPE(0.5))
    for ensemble in (plain, weighted):
        ensemble.fit(features, targets, rng)
    assert plain.predict(features[:1]).mean() == pytest.approx(10, abs=1)
    assert weighted.predict(features[:1]).mean() == pytest.approx(1, abs=1)


@pytest.mark.parametrize("encoding", [PathEncoding(), OneHotEncoding()])
def test_learns_an_additive_error(
    encoding: PathEncoding | OneHotEncoding, rng: np.random.Generator
) -> None:
    """Every operation on every edge adds its own fixed amount."""
    space = NASBench201Space()
    cells = list(dict.fromkeys(space.random(rng) for _ in range(450)))
    errors = OneHotEncoding().encode(space, cells) @ rng.random(30)
    features = encoding.encode(space, cells)
    ensemble = MLPEnsemble()
    ensemble.fit(features[:100], errors[:100], rng)
    members = ensemble.predict(features[100:])
    unseen = errors[100:]
    correlation = spearmanr(members.mean(axis=0), unseen).statistic
    assert correlation > 0.5
    single = [spearmanr(member, unseen).statistic for member in members]
    assert correlation > np.mean(single)  # what the ensemble is for


def test_no_hidden_layer_is_a_linear_model(data: Data, rng: np.random.Generator) -> None:
    features, _ = data
    targets = features @ np.arange(9.0) + 3
    ensemble = MLPEnsemble(
        hidden=(), loss=MSE(), epochs=1500, learning_rate=0.02, weight_decay=0.0
    )
    ensemble.fit(features, targets, rng)
    assert ensemble.predict(features) == pytest.approx(np.tile(targets, (5, 1)), abs=0.3)


def test_the_published_ensemble() -> None:
    ensemble = MLPEnsemble.published(loss=MSE())
    assert ensemble.hidden == (20,) * 10
    assert (ensemble.num_members, ensemble.epochs, ensemble.batch_size) == (5, 150, 32)
    assert (ensemble.learning_rate, ensemble.weight_decay) == (0.01, 0.0)
    assert (ensemble.partial_members, ensemble.spread) == (0, 1.0)
    assert isinstance(ensemble.loss, MSE)
    assert isinstance(MLPEnsemble.published().loss, MAE)


@pytest.mark.parametrize(
    ("number", "steps"), [(1, 100), (32, 100), (150, 100), (400, 200), (600, 300), (900, 300)]
)
def test_steps_by_default(
    number: int, steps: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Half as many as observations, within limits, however many batches a pass has."""
    taken = 0

    def count(optimizer: _Adam, gradient: np.ndarray) -> None:
        nonlocal taken
        taken += 1

    monkeypatch.setattr(_Adam, "step", count)
    MLPEnsemble().fit(rng.random((number, 3)), rng.random(number), rng)
    assert taken == steps


@pytest.mark.parametrize(
    ("rows", "factor"), [(20, 1 + 2 * 0.8), (50, 2.0), (100, 1.0), (130, 1.0)]
)
def test_spread_stretches_the_members_about_their_mean(
    rows: int, factor: float, rng: np.random.Generator
) -> None:
    """The fewer rows the more."""
    features, targets = rng.normal(size=(rows, 9)), rng.normal(size=rows)
    found = []
    for spread in (1.0, 3.0):
        ensemble = MLPEnsemble(epochs=5, spread=spread)
        ensemble.fit(features, targets, np.random.default_rng(0))
        found.append(ensemble.predict(features))
    plain, wide = found
    assert wide.mean(axis=0) == pytest.approx(plain.mean(axis=0), abs=1e-5)
    assert wide.std(axis=0) == pytest.approx(factor * plain.std(axis=0))


def test_partial_members_see_the_last_part_only(rng: np.random.Generator) -> None:
    space, encoding = NASBench201Space(), FoldedEncoding()
    *_, paths = encoding.parts(space).values()
    cells = [space.random(rng) for _ in range(60)]
    features = encoding.encode(space, cells)
    targets = rng.normal(size=60)
    ensemble = MLPEnsemble(num_members=3, partial_members=1)
    ensemble.prepare(space, encoding)
    ensemble.fit(features, targets, rng)
    shuffled = features.copy()
    shuffled[:, : paths.start] = rng.permuted(shuffled[:, : paths.start], axis=0)
    moved = ~np.isclose(_members(ensemble, features), _members(ensemble, shuffled)).all(axis=1)
    assert moved.tolist() == [False, True, True]


def test_an_encoding_of_one_part_is_seen_by_all(rng: np.random.Generator) -> None:
    space, encoding = NASBench201Space(), OneHotEncoding()
    features = encoding.encode(space, [space.random(rng) for _ in range(40)])
    targets = rng.normal(size=40)
    ensemble = MLPEnsemble(num_members=2, partial_members=2)
    ensemble.prepare(space, encoding)
    ensemble.fit(features, targets, rng)
    assert (np.ptp(ensemble.predict(features), axis=1) > 0.1).all()


def _members(ensemble: MLPEnsemble, features: np.ndarray) -> np.ndarray:
    """The predictions without the stretching, which mixes the members."""
    ensemble._stretch = 1.0
    return ensemble.predict(features)


def test_columns_without_variation_are_left_out(data: Data) -> None:
    """They tell nothing of the training data, so they must not change predictions."""
    features, targets = data
    padded = np.insert(features, [0, 4, 9], 0.7, axis=1)
    plain, wide = MLPEnsemble(epochs=5), MLPEnsemble(epochs=5)
    plain.fit(features, targets, np.random.default_rng(0))
    wide.fit(padded, targets, np.random.default_rng(0))
    moved = padded.copy()
    moved[:, 0] = 55.0
    assert np.array_equal(wide.predict(moved), plain.predict(features))


def test_weight_decay_shrinks_predictions_to_the_mean(data: Data) -> None:
    features, targets = data
    spread = []
    for decay in (0.0, 1.0, 20.0):
        ensemble = MLPEnsemble(weight_decay=decay)
        ensemble.fit(features, targets, np.random.default_rng(0))
        spread.append(ensemble.predict(features).std())
    assert spread[0] > spread[1] > spread[2]


def test_predicting_needs_a_fit() -> None:
    with pytest.raises(RuntimeError, match="call `fit` before"):
        MLPEnsemble().predict(np.zeros((1, 3)))


def test_global_generators_are_left_alone(data: Data, rng: np.random.Generator) -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    ensemble = MLPEnsemble(epochs=2)
    ensemble.fit(*data, rng)
    ensemble.predict(data[0])
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert np.array_equal(before["state"]["key"], after["state"]["key"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_members", 0),
        ("num_members", 2.5),
        ("epochs", -1),
        ("epochs", "10"),
        ("batch_size", 0),
        ("batch_size", True),
        ("weight_decay", -1),
        ("weight_decay", float("nan")),
        ("partial_members", 6),
        ("spread", 0),
        ("learning_rate", 0),
        ("learning_rate", -0.1),
    ],
)
def test_bad_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}; allowed "):
        MLPEnsemble(**{name: value})


def test_bad_hidden_layers_and_loss() -> None:
    with pytest.raises(ValueError, match="`hidden` is 0; allowed is an integer of 1 or more"):
        MLPEnsemble(hidden=(20, 0))
    wrong: Any = "mape"
    with pytest.raises(TypeError, match="`loss` is 'mape'; allowed are None and a loss"):
        MLPEnsemble(loss=wrong)
