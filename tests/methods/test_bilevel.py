"""The bilevel gradient: closed forms, autograd through the unrolled step, restored weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from optuna_nas.methods import Unrolled, architecture_gradient
from optuna_nas.methods.synthetic import descend, quadratic, sinusoids
from optuna_nas.spaces import NASBench201Space
from optuna_nas.supernets import build_supernet, frozen_statistics
from tests.supernets.plain_supernet import evenly, plain_copy


@pytest.mark.parametrize(
    ("xi", "fixed_point"), [(0.0, 2.0), (0.3, 1.25), (0.5, 1.0), (0.7, 0.8333333333333334)]
)
def test_fixed_points_of_the_quadratic(xi: float, fixed_point: float) -> None:
    descent = descend(quadratic(), xi, 400)
    assert float(descent.architecture[-1]) == pytest.approx(fixed_point, abs=1e-6)
    assert float(descent.weights[-1]) == pytest.approx(fixed_point, abs=1e-6)
    assert fixed_point == pytest.approx(2 / (1 + 2 * xi))


@pytest.mark.slow
@pytest.mark.parametrize("xi", [0.0, 0.1, 0.5, 1.0, 5.0])
def test_all_ways_of_the_sinusoids_end_near_the_noise(xi: float) -> None:
    descent = descend(sinusoids(), xi, 600)
    assert float(descent.validation_loss[0]) > 0.1
    assert 0.005 < float(descent.validation_loss[-1]) < 0.02


def test_the_ways_of_the_sinusoids_differ() -> None:
    near, far = descend(sinusoids(), 0.0, 60), descend(sinusoids(), 5.0, 60)
    assert float((near.architecture - far.architecture).abs().max()) > 0.01
    assert bool((near.validation_loss.diff() < 0).all())


def toy() -> tuple[Tensor, list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(1)
    alpha = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = [
        torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True),
        torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True),
    ]
    return alpha, weights, torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)


def toy_loss(x: Tensor, alpha: Tensor, weights: list[Tensor]) -> Tensor:
    return (torch.tanh((x + weights[1]) @ weights[0]) * alpha).sum(1).square().mean()


def quadratic_loss(x: Tensor, alpha: Tensor, weights: list[Tensor]) -> Tensor:
    return (x @ weights[0] * alpha + (x @ weights[1])[:, None]).square().mean()


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.01)])
def test_second_order_equals_autograd_through_the_unrolled_step(
    momentum: float, decay: float
) -> None:
    """With a training loss that is quadratic in the weights the difference is exact."""
    xi = 0.3
    alpha, weights, (train, validation) = toy()
    velocities = [torch.full_like(w, 0.05) for w in weights]
    found = architecture_gradient(
        [alpha],
        weights,
        validation_loss=lambda: toy_loss(validation, alpha, weights),
        training_loss=lambda: quadratic_loss(train, alpha, weights),
        unrolled=Unrolled(xi, momentum, decay, velocities),
    )
    gradients = torch.autograd.grad(
        quadratic_loss(train, alpha, weights), weights, create_graph=True
    )
    ahead = [
        w - xi * (g + decay * w + momentum * v)
        for w, g, v in zip(weights, gradients, velocities, strict=True)
    ]
    [expected] = torch.autograd.grad(toy_loss(validation, alpha, ahead), [alpha])
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-12)
    [first] = torch.autograd.grad(toy_loss(validation, alpha, weights), [alpha])
    assert float((first - expected).abs().max()) > 1e-3


def test_first_order_is_the_plain_gradient() -> None:
    alpha, weights, (train, validation) = toy()
    found = architecture_gradient(
        [alpha],
        weights,
        validation_loss=lambda: toy_loss(validation, alpha, weights),
        training_loss=lambda: toy_loss(train, alpha, weights),
    )
    [expected] = torch.autograd.grad(toy_loss(validation, alpha, weights), [alpha])
    assert torch.equal(found[0], expected)
    assert all(w.requires_grad for w in weights)


def test_second_order_on_a_supernet_against_autograd_on_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batched supernet, by differences, against the plain one, by autograd.

    The differences are smaller than the published ones: so small a network bends a lot.
    """
    monkeypatch.setattr("optuna_nas.methods.bilevel._EPSILON", 1e-6)
    torch.manual_seed(3)
    fast = build_supernet(NASBench201Space(), num_classes=3, channels=2, cells=1).double()
    plain = plain_copy(fast, channels=2)
    train, validation = torch.randn(2, 6, 3, 8, 8, dtype=torch.float64)
    labels = torch.arange(6) % 3
    weights = evenly(fast, dtype=torch.float64)
    alphas, xi = list(weights.values()), 0.01
    with frozen_statistics(fast), frozen_statistics(plain):
        [found] = architecture_gradient(
            alphas,
            list(fast.parameters()),
            validation_loss=lambda: F.cross_entropy(fast(validation, weights), labels),
            training_loss=lambda: F.cross_entropy(fast(train, weights), labels),
            unrolled=Unrolled(xi),
        )
        parameters = dict(plain.named_parameters())
        loss = F.cross_entropy(plain(train, weights), labels)
        gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        ahead = {
            name: w - xi * g for (name, w), g in zip(parameters.items(), gradients, strict=True)
        }
        logits = torch.func.functional_call(plain, ahead, (validation, weights))
        [expected] = torch.autograd.grad(F.cross_entropy(logits, labels), alphas)
        logits = plain(validation, weights)
        [first] = torch.autograd.grad(F.cross_entropy(logits, labels), alphas)
    difference = float((expected - first).abs().max())
    assert float((found - expected).abs().max()) < 1e-4 * difference


def test_weights_are_put_back_to_the_last_bit_even_after_an_error() -> None:
    alpha, weights, (train, validation) = toy()
    before = [w.detach().clone() for w in weights]

    def search(training_loss: object) -> None:
        architecture_gradient(
            [alpha],
            weights,
            validation_loss=lambda: toy_loss(validation, alpha, weights),
            training_loss=training_loss,  # type: ignore[arg-type]
            unrolled=Unrolled(0.1),
        )

    search(lambda: toy_loss(train, alpha, weights))
    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
    calls = iter(range(10))

    def failing() -> Tensor:
        if next(calls) == 2:
            raise RuntimeError("broken")
        return toy_loss(train, alpha, weights)

    with pytest.raises(RuntimeError, match="broken"):
        search(failing)
    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
    assert all(w.requires_grad for w in weights)


def test_a_validation_loss_without_weights_has_no_second_part() -> None:
    alpha, weights, (train, _) = toy()
    found = architecture_gradient(
        [alpha],
        weights,
        validation_loss=lambda: alpha.square().sum(),
        training_loss=lambda: toy_loss(train, alpha, weights),
        unrolled=Unrolled(0.5),
    )
    torch.testing.assert_close(found[0], 2 * alpha.detach())


def test_unrolled_is_the_next_step_of_the_optimiser() -> None:
    _, weights, _ = toy()
    optimizer = torch.optim.SGD(weights, lr=0.2, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        unrolled = Unrolled.of(optimizer, 0.2)
        gradients = [torch.full_like(w, 0.3) for w in weights]
        copies = [w.detach().clone() for w in weights]
        unrolled.take(copies, gradients)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.step()
        for copy, weight in zip(copies, weights, strict=True):
            torch.testing.assert_close(copy, weight.detach())
