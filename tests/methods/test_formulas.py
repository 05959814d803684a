"""The methods, formula by formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from optuna_nas.methods import (
    METHODS,
    ArchitectureParameters,
    GumbelSoftmax,
    HardGumbel,
    Sigmoid,
    Softmax,
)
from optuna_nas.methods.drawn import DrawnArchitectures
from optuna_nas.methods.fair_darts import zero_one_loss
from optuna_nas.methods.shared_weights import SharedWeights
from optuna_nas.spaces import DARTSSpace, NASBench201Space
from optuna_nas.supernets import build_supernet
from optuna_nas.supernets.cell import shuffle_channels
from tests.methods.test_all_methods import engine, small
from tests.supernets.plain_supernet import evenly

NB201 = NASBench201Space()
LOGITS = torch.tensor([[0.3, 2.0, -1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestHardGumbel:
    """GDAS: one-hot forwards, the gradient of a Gumbel-softmax backwards."""

    @pytest.mark.parametrize("temperature", [10.0, 0.1])
    def test_weights_are_exactly_one_hot(self, temperature: float) -> None:
        for seed in range(20):
            found = HardGumbel(temperature).weights(LOGITS.float(), generator(seed), 0.0)
            assert torch.equal(found.sum(1), torch.ones(2))
            assert set(found.flatten().tolist()) == {0.0, 1.0}

    def test_the_gradient_is_that_of_the_soft_sample_to_all_parameters(self) -> None:
        factors = torch.tensor([[1.0, -2.0, 0.5], [3.0, 1.0, 0.0]], dtype=torch.float64)
        gradients: list[torch.Tensor] = []
        for relaxation in (HardGumbel(0.7), GumbelSoftmax(0.7)):
            logits = LOGITS.clone().requires_grad_()
            found = relaxation.weights(logits, generator(3), 0.0)
            gradients += torch.autograd.grad((found * factors).sum(), [logits])
        torch.testing.assert_close(*gradients)
        assert bool((gradients[0] != 0).all())

    def test_options_are_drawn_with_their_softmax_probabilities(self) -> None:
        draws = LOGITS[:1].expand(20_000, -1)
        found = HardGumbel(5.0).weights(draws, generator(), 0.0).mean(0)
        torch.testing.assert_close(found, LOGITS[0].softmax(0), rtol=0, atol=0.015)

    def test_one_step_computes_one_operation_of_an_edge(self) -> None:
        """And all parameters of every edge that is computed get a gradient."""
        search = engine(small("gdas"), "nasbench201")
        weights = search.sample(1)["cell"]
        loss = search.loss(search.draw_held_out(), {"cell": weights})
        loss.backward()  # type: ignore[no-untyped-call]
        touched = [n for n, p in search.supernet.named_parameters() if p.grad is not None]
        convolutions = [name for name in touched if "stacked" in name]
        chosen = weights.detach().argmax(1)
        parametric = sum(int(c) in (2, 3) for c in chosen)
        assert 0 < len(convolutions) <= 3 * parametric
        [logits] = search.alphas
        assert logits.grad is not None
        rows = logits.grad.abs().sum(1) > 0
        assert bool(rows.any())
        assert bool((logits.grad[rows] != 0).all())


class TestFairDarts:
    def test_operations_do_not_compete(self) -> None:
        logits = LOGITS.clone().requires_grad_()
        found = Sigmoid().weights(logits, generator(), 0.0)
        [gradient] = torch.autograd.grad(found[0, 1], [logits])
        assert int((gradient != 0).sum()) == 1

    def test_bounds(self) -> None:
        assert float(zero_one_loss({"cell": torch.full((6, 5), 0.5)})) == 0.0
        ends = torch.randint(0, 2, (6, 5), generator=generator()).float()
        assert float(zero_one_loss({"cell": ends, "other": ends})) == -0.25

    def test_the_gradient_and_its_stationary_point(self) -> None:
        """2·(1/2 - σ)·σ·(1 - σ) / n, and so none where all parameters are zero."""
        logits = torch.randn(4, 3, generator=generator(), dtype=torch.float64)
        for alpha in (logits, torch.zeros(4, 3, dtype=torch.float64)):
            alpha = alpha.clone().requires_grad_()
            [found] = torch.autograd.grad(zero_one_loss({"cell": alpha.sigmoid()}), [alpha])
            s = alpha.detach().sigmoid()
            torch.testing.assert_close(found, 2 * (0.5 - s) * s * (1 - s) / 12)
        assert not bool(found.any())

    def test_alone_it_drives_weights_to_zero_and_one(self) -> None:
        alpha = (0.1 * torch.randn(4, 3, generator=generator())).requires_grad_()
        start = alpha.detach().clone()
        optimizer = torch.optim.Adam([alpha], lr=0.1)
        for _ in range(300):
            optimizer.zero_grad()
            zero_one_loss({"cell": alpha.sigmoid()}).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert torch.equal(alpha.detach().sigmoid().round() == 1, start > 0)
        assert float(zero_one_loss({"cell": alpha.detach().sigmoid()})) < -0.24

    def test_it_is_added_to_the_loss_of_the_architecture(self) -> None:
        search = engine(small("fair_darts", zero_one_weight=7.0), "nasbench201")
        batch = search.draw_held_out()
        found = search.architecture_loss(batch, 0)
        weights = search.sample(0)
        expected = search.loss(batch, weights) + 7.0 * zero_one_loss(weights)
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("threshold", [0.85, 0.5])
    def test_what_is_not_above_the_threshold_is_not_kept(self, threshold: float) -> None:
        """However strong `none` is, and in whatever place."""
        search = engine(small("fair_darts", threshold=threshold), "nasbench201")
        weights = [0.8, 0.6, 0.4, 0.9, 0.86, 0.84]
        [logits] = search.alphas
        with torch.no_grad():
            logits.fill_(-3.0)[:, 0] = 3.0  # `none`
            logits[:, 3] = torch.tensor(weights).logit()
        search.trajectory.record(search.architecture.strengths())
        found = list(search.method.selection(search).params.values())
        assert found == ["nor_conv_3x3" if w > threshold else "none" for w in weights]


class TestPartialChannels:
    """PC-DARTS."""

    def test_one_of_one_channel_is_darts(self) -> None:
        sizes: dict[str, Any] = {"num_classes": 3, "channels": 4, "cells": 1}
        whole = build_supernet(NB201, **sizes, generator=generator())
        same = build_supernet(NB201, **sizes, partial_channels=1, generator=generator())
        x, weights = torch.randn(4, 3, 8, 8), evenly(whole)
        assert torch.equal(whole(x, weights), same(x, weights))

    @pytest.mark.parametrize("space", [NB201, DARTSSpace()])
    @pytest.mark.parametrize("size", [(8, 8), (9, 6)])
    def test_both_executions_are_equal(self, space: Any, size: tuple[int, int]) -> None:
        cells = 1 if space is NB201 else 3
        supernet = build_supernet(
            space, num_classes=3, channels=8, cells=cells, partial_channels=4
        ).double()
        weights = evenly(supernet, dtype=torch.float64)
        x = torch.randn(4, 3, *size, dtype=torch.float64)
        found = []
        for plain in (False, True):
            supernet.plain = plain
            logits = supernet(x, weights)
            gradients = torch.autograd.grad(logits.square().sum(), list(weights.values()))
            found.append([logits, *gradients])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)

    def test_what_passes_and_what_is_mixed(self) -> None:
        """Of a skip connection of weight w on each edge, by hand."""
        supernet = build_supernet(NB201, num_classes=3, channels=4, cells=1, partial_channels=2)
        cell = supernet.get_submodule("stages.0")
        weights = torch.zeros(6, 5)
        weights[3, NB201.operations.index("skip_connect")] = 0.5  # the edge from 0 to 3
        weights[3, NB201.operations.index("none")] = 0.25
        x = torch.randn(2, 4, 3, 3)
        [found] = cell([x], weights)
        mixed, passed = 0.5 * x[:, :2], 0.75 * x[:, 2:]
        expected = torch.stack([mixed[:, 0], passed[:, 0], mixed[:, 1], passed[:, 1]], dim=1)
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("groups", [1, 2, 3, 6])
    def test_shuffling_is_a_permutation(self, groups: int) -> None:
        x = torch.arange(6.0).view(1, 6, 1, 1)
        once = shuffle_channels(x, groups).flatten().tolist()
        assert sorted(once) == list(range(6))
        assert once == np.arange(6).reshape(groups, -1).T.ravel().tolist()

    def test_channels_that_cannot_be_divided(self) -> None:
        with pytest.raises(ValueError, match=r"^`partial_channels` is 4, but a node has 6 chann"):
            build_supernet(NB201, num_classes=2, channels=6, cells=1, partial_channels=4)

    def test_a_quarter_of_the_channels_has_a_sixteenth_of_the_weights(self) -> None:
        def stacked(part: int) -> int:
            supernet = build_supernet(
                NB201, num_classes=2, channels=8, cells=1, partial_channels=part
            )
            return sum(p.numel() for n, p in supernet.named_parameters() if "stacked" in n)

        assert stacked(1) == 16 * stacked(4)

    def test_weights_of_edges_sum_to_one_into_each_node(self) -> None:
        search = engine(small("pc_darts"), "nasbench201")
        totals = search.strengths()["cell"].sum(1)
        for rows in ([0], [1, 2], [3, 4, 5]):
            torch.testing.assert_close(totals[rows].sum(), torch.tensor(1.0))


class TestSharedWeights:
    """Random search with weight sharing, and single paths."""

    def test_only_the_path_of_the_step_gets_gradients(self) -> None:
        search = engine(small("random_ws"), "darts")
        weights = search.sample(5)
        search.loss(search.draw_held_out(), weights).backward()  # type: ignore[no-untyped-call]
        operations = [p for n, p in search.supernet.named_parameters() if "stacked" in n]
        assert 0 < sum(p.grad is not None for p in operations) < len(operations) / 2

    def test_architectures_are_drawn_uniformly(self) -> None:
        supernet = build_supernet(NB201, num_classes=2, channels=2, cells=1)
        drawn = DrawnArchitectures(supernet, generator())
        source = generator(1)
        total = torch.stack([drawn(source, 0.0)["cell"] for _ in range(2000)]).mean(0)
        torch.testing.assert_close(total, torch.full((6, 5), 0.2), rtol=0, atol=0.04)
        assert not list(drawn.parameters())

    @pytest.mark.parametrize("name", ["random_ws", "spos"])
    def test_the_best_of_those_measured_is_kept(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a known score in place of the measured one."""
        measured: dict[str, float] = {}

        def known(self: SharedWeights, architecture: Any, batches: Any = None) -> float:
            score = sum(v == "nor_conv_3x3" for v in architecture.params.values())
            return measured.setdefault(str(architecture), float(score))

        monkeypatch.setattr(SharedWeights, "merit", known)
        options = {"candidates": 40, "finalists": 5, "evaluations": 80}
        search = engine(small(name, **options), "nasbench201")
        chosen = search.method.selection(search)
        assert measured[str(chosen)] == max(measured.values())
        assert len(measured) >= 30

    def test_shared_accuracy(self) -> None:
        """The share of right answers of the path, with the statistics of each batch."""
        search = engine(small("random_ws"), "nasbench201")
        shared = SharedWeights(search)
        architecture = NB201.random(np.random.default_rng(0))
        before = {n: b.clone() for n, b in search.supernet.named_buffers()}
        found = shared.merit(architecture)
        assert all(torch.equal(b, before[n]) for n, b in search.supernet.named_buffers())
        search.supernet.train()
        with torch.no_grad():
            right = sum(
                int(
                    (search.supernet(x, search.supernet.encode(architecture)).argmax(1) == y).sum()
                )
                for x, y in shared.batches
            )
        assert found == right / sum(len(y) for _, y in shared.batches)


def test_the_second_order_of_any_relaxation_looks_ahead() -> None:
    first, second = (engine(small("darts", order=order), "cell") for order in (1, 2))
    batch = first.draw_held_out()
    second.draw_held_out()
    gradients = [search.method.step.gradients(search, batch) for search in (first, second)]  # type: ignore[union-attr]
    assert not torch.equal(gradients[0][0], gradients[1][0])


def test_a_relaxation_of_ones_own() -> None:
    class Square:
        """The square of each parameter's softmax."""

        def __repr__(self) -> str:
            return "Square()"

        def weights(self, logits: torch.Tensor, *_: Any) -> torch.Tensor:
            return logits.softmax(-1) ** 2

        def strengths(self, logits: torch.Tensor) -> torch.Tensor:
            return logits.softmax(-1) ** 2

    parameters = ArchitectureParameters(
        {"cell": ((0, 1),)}, ("a", "b"), relaxation=Square(), generator=generator()
    )
    softmax = ArchitectureParameters(
        {"cell": ((0, 1),)}, ("a", "b"), relaxation=Softmax(), generator=generator()
    )
    found, expected = parameters.strengths()["cell"], softmax.strengths()["cell"] ** 2
    torch.testing.assert_close(found, expected)


def test_names() -> None:
    assert all(name == method.name for name, method in METHODS.items())
