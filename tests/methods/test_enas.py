"""Policies: draws, their probabilities, and what rewards do to them."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from optuna_nas.methods import ArchitectureParameters, Engine, Softmax
from optuna_nas.methods.controller import Controller
from optuna_nas.methods.reinforce import Reinforce
from optuna_nas.objectives.tunables import extremes
from optuna_nas.spaces import CellSpace, DARTSSpace, EdgeNESSpace, NASBench201Space, SearchSpace
from optuna_nas.supernets import Weights, build_supernet
from tests.methods.test_all_methods import engine, small

NO_BATCH = torch.empty(0), torch.empty(0)  # policies look at held-out images only
SPACES: list[tuple[SearchSpace, int]] = [
    (NASBench201Space(), 1),
    (DARTSSpace(), 3),
    (EdgeNESSpace(), 1),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def controller(space: SearchSpace, cells: int = 1, **options: float) -> Controller:
    supernet = build_supernet(space, num_classes=2, channels=4, cells=cells)
    settings = {"bound": 1.1, "operations_bound": 0.44, "temperature": 1.0} | options
    return Controller(supernet, units=16, generator=generator(), **settings)


@pytest.mark.parametrize(("space", "cells"), SPACES)
def test_a_new_controller_draws_nearly_uniformly(space: SearchSpace, cells: int) -> None:
    """So an architecture's log-probability is about minus that of the size of the space."""
    policy = controller(space, cells)
    sizes = [len(extremes(distribution)) for distribution in space.distributions.values()]
    size = math.prod(sizes)
    drawn = policy.draw(generator(), 20)
    assert float(drawn.log_probabilities.detach().mean()) == pytest.approx(
        -math.log(size), rel=0.02
    )
    assert float(drawn.entropies.mean()) == pytest.approx(math.log(size), rel=0.02)
    assert all(space.architecture(a.params) == a for a in policy.architectures(generator(), 5))


def test_probabilities_are_those_of_draws() -> None:
    """Of a space of 8 architectures: they sum to one, and draws have these frequencies."""
    space = CellSpace(3, ["skip_connect", "nor_conv_1x1"])
    policy = controller(space, bound=3.0, operations_bound=3.0, temperature=0.02)
    operations = itertools.product(space.operations, repeat=3)
    every = [
        space.architecture(dict(zip(space.distributions, chosen, strict=True)))
        for chosen in operations
    ]
    with torch.no_grad():
        chances = {str(a): float(policy.log_probability(a).exp()) for a in every}
    assert sum(chances.values()) == pytest.approx(1.0, rel=1e-5)
    assert max(chances.values()) > 2 * min(chances.values())
    counts = Counter(str(a) for a in policy.architectures(generator(), 4000))
    for text, chance in chances.items():
        assert counts[text] / 4000 == pytest.approx(chance, abs=0.03)


def test_logits_are_bounded() -> None:
    """Of operations within C / 2.5, so that no choice is e^(2C/2.5) times as likely as another."""
    policy = controller(NASBench201Space(), temperature=1e-6)
    drawn = [policy.log_probability(a) for a in policy.architectures(generator(), 50)]
    lowest = 6 * math.log(1 / (1 + 4 * math.exp(2 * 0.44)))
    assert all(float(value.detach()) >= lowest - 1e-5 for value in drawn)


@pytest.mark.parametrize("better", [True, False])
def test_a_reward_above_the_baseline_raises_the_probability(better: bool) -> None:
    """And one below lowers it, after one step."""
    search = engine(small("enas", samples=1, architecture_learning_rate=1e-3), "nasbench201")
    policy = search.architecture
    assert isinstance(policy, Controller)
    step = _Rewarded(samples=1, rewarded=0.7, entropy_weight=0.0)
    search.memory["baseline"] = 0.2 if better else 0.9
    state = search.generator.get_state()
    [drawn] = policy.architectures(torch.Generator().manual_seed(search.draw_noise()), 1)
    search.generator.set_state(state)
    before = float(policy.log_probability(drawn).detach())
    step(search, NO_BATCH)
    after = float(policy.log_probability(drawn).detach())
    assert (after > before) is better and after != before


class _Rewarded(Reinforce):
    """Gives every architecture one reward."""

    def __init__(self, *, rewarded: float, samples: int, entropy_weight: float = 0.0) -> None:
        super().__init__(samples=samples, entropy_weight=entropy_weight)
        object.__setattr__(self, "rewarded", rewarded)

    def reward(self, search: Engine, weights: Weights) -> float:
        return float(vars(self)["rewarded"])


def test_the_baseline_follows_before_it_is_used() -> None:
    """From zero, by a hundredth of the way, with every architecture."""
    search = engine(small("enas"), "cell")
    _Rewarded(samples=3, rewarded=0.5, entropy_weight=0.0)(search, NO_BATCH)
    expected = 0.0
    for _ in range(3):
        expected -= 0.01 * (expected - 0.5)
    assert search.memory == {"baseline": pytest.approx(expected)}


def test_the_entropy_is_a_part_of_the_reward() -> None:
    search = engine(small("enas"), "cell")
    _Rewarded(samples=1, rewarded=0.0, entropy_weight=0.1)(search, NO_BATCH)
    assert search.memory["baseline"] == pytest.approx(0.01 * 0.1 * 3 * math.log(3), rel=0.02)


def test_a_controller_learns_what_is_rewarded() -> None:
    """The number of 3x3 convolutions, without any network."""
    search = engine(small("enas", architecture_learning_rate=0.02), "nasbench201")

    class Convolutions(Reinforce):
        def reward(self, search: Engine, weights: Weights) -> float:
            return float(weights["cell"][:, 3].sum())

    step = Convolutions(samples=10)
    for _ in range(60):
        step(search, NO_BATCH)
    shares = search.architecture.strengths()["cell"][:, 3]
    assert float(shares.mean()) > 0.3  # bounded: 0.37 at most
    assert float(shares.mean()) < 0.45


def test_the_selection_draws_from_the_policy() -> None:
    search = engine(small("enas", candidates=5, finalists=2), "nasbench201")
    found = search.method.selection(search)
    assert search.method.selection(search) == found


class TestIndependentChoices:
    """The policy of ProxylessNAS: a softmax for each edge."""

    def make(self) -> ArchitectureParameters:
        parameters = ArchitectureParameters(
            {"cell": ((0, 1), (0, 2))},
            ("a", "b", "c"),
            relaxation=Softmax(),
            generator=generator(),
        )
        with torch.no_grad():
            parameters.operations["cell"].copy_(torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.0, 0.0]]))
        return parameters

    def test_probabilities_and_entropies(self) -> None:
        parameters = self.make()
        drawn = parameters.draw(generator(), 4000)
        chances = parameters.operations["cell"].softmax(1).detach()
        mean = torch.stack([w["cell"] for w in drawn.weights]).mean(0)
        torch.testing.assert_close(mean, chances, rtol=0, atol=0.03)
        for weights, found in zip(drawn.weights[:5], drawn.log_probabilities, strict=False):
            expected = (weights["cell"] * chances.log()).sum()
            torch.testing.assert_close(found.detach(), expected)
        entropy = -(chances * chances.log()).sum()
        torch.testing.assert_close(drawn.entropies, entropy.expand(4000))

    def test_the_gradient_is_that_of_the_log_probability(self) -> None:
        parameters = self.make()
        drawn = parameters.draw(generator(), 1)
        [gradient] = torch.autograd.grad(drawn.log_probabilities[0], list(parameters.parameters()))
        chances = parameters.operations["cell"].softmax(1).detach()
        torch.testing.assert_close(gradient, drawn.weights[0]["cell"] - chances)


def test_spaces_of_numbers_have_no_controller() -> None:
    from optuna.distributions import IntDistribution

    supernet = build_supernet(NASBench201Space(), num_classes=2, channels=4, cells=1)

    class Numbers:
        operations = supernet.operations
        encode = supernet.encode

        class space:
            distributions = {"width": IntDistribution(1, 3)}  # noqa: RUF012

    with pytest.raises(TypeError, match=r"whose parameter 'width' is IntDistribution"):
        Controller(
            Numbers(),  # type: ignore[arg-type]
            units=4,
            bound=1.0,
            operations_bound=1.0,
            temperature=1.0,
            generator=generator(),
        )
