"""Expected costs, and the losses that are paid for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from optuna_nas.methods.costs import CostOf, PricedCost, cost_of
from optuna_nas.methods.fbnet import FBNET, LogCostPower
from optuna_nas.methods.proxyless import LogCostRatio
from optuna_nas.networks import build_network, count_macs, count_parameters
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace
from optuna_nas.supernets import build_supernet
from tests.methods.test_all_methods import engine, small
from tests.supernets.plain_supernet import evenly

SHAPE = (3, 16, 16)


def known() -> CostOf:
    generator = torch.Generator().manual_seed(0)
    table = {kind: torch.rand(6, 5, generator=generator) for kind in ("normal", "reduce")}
    return CostOf(table, base=3.0)


def drawn(seed: int, *before: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        kind: torch.randn(*before, 6, 5, generator=generator).softmax(-1)
        for kind in ("normal", "reduce")
    }


def test_at_one_hot_it_is_the_sum_of_the_table() -> None:
    cost = known()
    columns = torch.tensor([0, 3, 1, 4, 2, 0])
    one_hot = {kind: torch.nn.functional.one_hot(columns, 5).float() for kind in cost.table}
    expected = 3.0 + sum(float(t[torch.arange(6), columns].sum()) for t in cost.table.values())
    assert float(cost(one_hot)) == pytest.approx(expected, rel=1e-6)


def test_it_is_linear_and_its_gradient_is_the_table() -> None:
    cost, first, second = known(), drawn(1), drawn(2)
    mixed = {k: (0.3 * first[k] + 0.7 * second[k]).requires_grad_() for k in first}
    found = cost(mixed)
    torch.testing.assert_close(found, 0.3 * cost(first) + 0.7 * cost(second))
    gradients = torch.autograd.grad(found, list(mixed.values()))
    for gradient, table in zip(gradients, cost.table.values(), strict=True):
        torch.testing.assert_close(gradient, table)


def test_of_weights_of_single_images_it_is_the_mean() -> None:
    cost, weights = known(), drawn(1, 7)
    single = [cost({k: w[i] for k, w in weights.items()}) for i in range(7)]
    torch.testing.assert_close(cost(weights), torch.stack(single).mean())


def test_the_largest() -> None:
    cost = known()
    dearest = {
        k: torch.nn.functional.one_hot(t.argmax(1), 5).float() for k, t in cost.table.items()
    }
    assert cost.largest == pytest.approx(float(cost(dearest)), rel=1e-6)


@pytest.mark.parametrize(("space", "cells"), [(NASBench201Space(), 2), (DARTSSpace(), 4)])
def test_differences_are_those_of_the_derived_networks(space: SearchSpace, cells: int) -> None:
    """Of two architectures, in multiply-accumulates and in parameters, to the last one."""
    sizes: dict[str, Any] = {"num_classes": 3, "channels": 4, "cells": cells}
    supernet = build_supernet(space, **sizes)
    macs = cost_of("macs", supernet, SHAPE)
    parameters = cost_of("parameters", supernet, SHAPE)
    rng = np.random.default_rng(3)
    compared = 0
    while compared < 4:
        pair = [space.random(rng) for _ in range(2)]
        if any("none" in str(architecture) for architecture in pair):
            continue  # what cannot matter is not in the network
        networks = [build_network(architecture, **sizes) for architecture in pair]
        weights = [supernet.encode(architecture) for architecture in pair]
        found = [float(macs(w)) for w in weights]
        counted = [count_macs(network, SHAPE) for network in networks]
        assert found[0] - found[1] == counted[0] - counted[1]
        found = [float(parameters(w)) for w in weights]
        counted = [count_parameters(network) for network in networks]
        assert found[0] - found[1] == counted[0] - counted[1]
        compared += 1


def test_a_table_of_a_file(tmp_path: Path) -> None:
    """The numbers are its numbers, and its content tells checkpoints apart."""
    supernet = build_supernet(NASBench201Space(), num_classes=3, channels=4, cells=1)
    file = tmp_path / "latency.txt"
    rows = [
        f"cell/{s}-{t} " + " ".join(str(10 * s + t + c) for c in range(5))
        for s, t in supernet.edges["cell"]
    ]
    header = "# base: 7\nplace " + " ".join(supernet.operations)
    file.write_text("\n".join([header, *rows]) + "\n")
    cost = cost_of(str(file), supernet, SHAPE)
    one_hot = {"cell": torch.nn.functional.one_hot(torch.full((6,), 2), 5).float()}
    expected = 7 + sum(10 * s + t + 2 for s, t in supernet.edges["cell"])
    assert float(cost(one_hot)) == expected
    before = repr(PricedCost(costs=str(file)))
    file.write_text(file.read_text().replace("# base: 7", "# base: 8"))
    assert repr(PricedCost(costs=str(file))) != before
    search = engine(small("fbnet", costs=str(file)), "nasbench201")
    assert search.cost_of(str(file)).base == 8


def test_a_table_that_lacks_an_operation(tmp_path: Path) -> None:
    file = tmp_path / "latency.txt"
    file.write_text("place none skip_connect\ncell/0-1 0 1\n")
    supernet = build_supernet(NASBench201Space(), num_classes=3, channels=4, cells=1)
    with pytest.raises(ValueError, match=r"lacks the place 'cell/0-2'"):
        cost_of(str(file), supernet, SHAPE)
    with pytest.raises(ValueError, match=r"^`costs` is '.*none.txt'; allowed are \['macs'"):
        PricedCost(costs=str(tmp_path / "none.txt"))


def test_nothing_is_drawn_and_the_supernet_stays() -> None:
    supernet = build_supernet(NASBench201Space(), num_classes=3, channels=4, cells=1)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    random = torch.get_rng_state()
    cost_of("macs", supernet, SHAPE)
    assert torch.equal(torch.get_rng_state(), random)
    assert supernet.training and supernet.plain is None
    assert all(torch.equal(v, before[n]) for n, v in supernet.state_dict().items())


class TestLosses:
    COST, LARGEST = torch.tensor(2e6), 8e6

    def test_a_price_of_the_share(self) -> None:
        found = PricedCost(price=0.4).paid(torch.tensor(1.5), self.COST, self.LARGEST)
        assert float(found) == pytest.approx(1.5 + 0.4 * 0.25)

    @pytest.mark.parametrize(("target", "added"), [(0.25, 0.0), (0.5, 0.5), (0.125, 1.0)])
    def test_a_target_from_both_sides(self, target: float, added: float) -> None:
        loss = PricedCost(price=1.0, target_cost=target)
        found = loss.paid(torch.tensor(1.5), self.COST, self.LARGEST)
        assert float(found) == pytest.approx(1.5 + added)

    def test_the_power_of_the_logarithm(self) -> None:
        found = LogCostPower().paid(torch.tensor(1.5), self.COST, self.LARGEST)
        assert float(found) == pytest.approx(1.5 * 0.2 * math.log(2e6) ** 0.6)

    def test_the_power_is_of_the_logarithm_not_in_it(self) -> None:
        """log(LAT^β), a known mistake, is β·log LAT."""
        found = LogCostPower().paid(torch.tensor(1.0), self.COST, self.LARGEST)
        assert float(found) != pytest.approx(0.2 * 0.6 * math.log(2e6), rel=0.1)

    def test_the_ratio_of_logarithms(self) -> None:
        loss = LogCostRatio(reference=0.25, ratio_exponent=0.6)
        assert float(loss.paid(torch.tensor(1.5), self.COST, self.LARGEST)) == pytest.approx(1.5)
        found = loss.paid(torch.tensor(1.5), 2 * self.COST, self.LARGEST)
        expected = 1.5 * (math.log(4e6) / math.log(2e6)) ** 0.6
        assert float(found) == pytest.approx(expected)

    @pytest.mark.parametrize("cost", [0.0, 1.0])
    def test_small_costs_have_finite_losses_and_gradients(self, cost: float) -> None:
        for loss in (LogCostPower(), LogCostRatio(), PricedCost()):
            given = torch.tensor(cost, requires_grad=True)
            found = loss.paid(torch.tensor(1.5), given, 8.0)
            [gradient] = torch.autograd.grad(found, [given])
            assert math.isfinite(float(found.detach())) and math.isfinite(float(gradient))

    @pytest.mark.parametrize(
        "loss", [{"price": 0.0}, {"target_cost": -1.0}, {"costs": "watts"}, {"costs": ""}]
    )
    def test_wrong_numbers(self, loss: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=r"^`(price|target_cost|costs)` is .*; allowed are "):
            PricedCost(**loss)  # type: ignore[arg-type]


def test_dearer_operations_are_pushed_down() -> None:
    """Of a loss that is the cost alone, the gradient's sign is that of cost less mean cost."""
    search = engine(small("snas", price=1.0), "nasbench201")
    [logits] = search.alphas
    cost = search.cost_of("macs")
    weights = {"cell": logits.softmax(1)}
    found = search.method.regulariser
    assert found is not None
    loss = found(torch.zeros(()), weights, search, torch.Generator())
    [gradient] = torch.autograd.grad(loss, [logits])
    above = cost.table["cell"] - (logits.softmax(1) * cost.table["cell"]).sum(1, keepdim=True)
    assert torch.equal(gradient.sign(), above.detach().sign())


def test_fbnet_cools_as_published() -> None:
    """τ = 5·exp(-0.045·epoch), of 90 epochs."""
    relaxation = FBNET.relaxation
    for epoch in (0, 30, 90):
        found = relaxation.temperature_at(epoch / 90)  # type: ignore[attr-defined]
        assert found == pytest.approx(5 * math.exp(-0.045 * epoch), rel=2e-3)


class TestEachImage:
    """SqueezeNAS: a sample for each image."""

    @pytest.mark.parametrize("space", [NASBench201Space(), DARTSSpace()])
    def test_weights_of_single_images_are_those_of_batches_of_one(
        self, space: SearchSpace
    ) -> None:
        """In evaluation mode, where images do not see each other."""
        cells = 1 if isinstance(space, NASBench201Space) else 3
        supernet = build_supernet(space, num_classes=3, channels=4, cells=cells).double().eval()
        supernet.plain = True
        weights = [evenly(supernet, dtype=torch.float64) for _ in range(3)]
        x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
        with torch.no_grad():
            whole = supernet(x, {k: torch.stack([w[k] for w in weights]) for k in weights[0]})
            single = [supernet(x[i : i + 1], w) for i, w in enumerate(weights)]
        torch.testing.assert_close(whole, torch.cat(single))

    def test_each_image_has_a_sample_of_its_own(self) -> None:
        search = engine(small("squeezenas"), "nasbench201")
        weights = search.sample(3)["cell"]
        assert weights.shape == (8, 6, 5)
        torch.testing.assert_close(weights.sum(-1), torch.ones(8, 6))
        assert not torch.equal(weights[0], weights[1])

    def test_a_smaller_last_batch(self) -> None:
        search = engine(small("squeezenas"), "nasbench201")
        x, y = search.draw_held_out()
        assert bool(search.loss((x[:3], y[:3]), search.sample(0)).isfinite())
