"""Softmax and Gumbel-softmax, and the parameters of an architecture."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from optuna_nas.methods import ArchitectureParameters, GumbelSoftmax, Softmax
from optuna_nas.supernets import cell_edges

LOGITS = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 0.5]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_softmax() -> None:
    expected = LOGITS.exp() / LOGITS.exp().sum(1, keepdim=True)
    torch.testing.assert_close(Softmax().weights(LOGITS, generator(), 0.3), expected)
    torch.testing.assert_close(Softmax().strengths(LOGITS), expected)


def test_gumbel_samples_at_low_temperature_are_one_hot_with_softmax_frequencies() -> None:
    relaxation = GumbelSoftmax(1e-4)
    many = LOGITS.repeat_interleave(20_000, dim=0)
    samples = relaxation.weights(many, generator(), 0.0)
    assert float((samples.max(dim=1).values > 0.999).float().mean()) > 0.999
    frequencies = samples.view(2, 20_000, 3).mean(1)
    torch.testing.assert_close(frequencies, LOGITS.softmax(1), rtol=0, atol=0.015)
    torch.testing.assert_close(relaxation.strengths(LOGITS), LOGITS.softmax(1))


def test_gumbel_temperature_falls_with_progress() -> None:
    falling = GumbelSoftmax(5.0, 0.1)
    for progress, temperature in ((0.0, 5.0), (0.5, 2.55), (1.0, 0.1)):
        fixed = GumbelSoftmax(temperature).weights(LOGITS, generator(), 0.7)
        torch.testing.assert_close(falling.weights(LOGITS, generator(), progress), fixed)


def test_gradients_flow_through_a_sample() -> None:
    logits = LOGITS.clone().requires_grad_()
    GumbelSoftmax().weights(logits, generator(), 0.0)[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and bool((logits.grad[:, 0] > 0).all())


@pytest.mark.parametrize("arguments", [(0.0,), (1.0, -1.0), ("1",)])
def test_wrong_temperatures(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"temperature` is .*; allowed are positive numbers"):
        GumbelSoftmax(*arguments)


class TestArchitectureParameters:
    EDGES: ClassVar = {"cell": cell_edges(1, 4)}

    def make(self, **options: bool) -> ArchitectureParameters:
        return ArchitectureParameters(
            self.EDGES, ("a", "b"), relaxation=Softmax(), generator=generator(), **options
        )

    def test_they_start_small_and_drawn_from_the_generator(self) -> None:
        first, second = self.make(), self.make()
        [logits] = first.parameters()
        assert logits.shape == (6, 2)
        assert 0 < float(logits.detach().abs().max()) < 0.01
        assert torch.equal(logits, next(second.parameters()))

    def test_without_edge_weights(self) -> None:
        found = self.make()(generator(), 0.0)["cell"]
        torch.testing.assert_close(found.sum(1), torch.ones(6))

    def test_the_weights_of_the_edges_into_a_node_sum_to_one(self) -> None:
        parameters = self.make(edge_weights=True)
        with torch.no_grad():
            parameters.edges["cell"].copy_(torch.arange(6.0))
        found = parameters(generator(), 0.0)["cell"].sum(1)
        torch.testing.assert_close(found[0], torch.tensor(1.0))
        torch.testing.assert_close(found[1:3], torch.tensor([1.0, 2.0]).softmax(0))
        torch.testing.assert_close(found[3:], torch.tensor([3.0, 4.0, 5.0]).softmax(0))
        assert not parameters.strengths()["cell"].requires_grad
