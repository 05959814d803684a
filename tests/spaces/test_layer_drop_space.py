"""Masks of layers: counted, repaired, mutated, and searched by any sampler."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import comb

import networkx as nx
import numpy as np
import optuna
import pytest

from optuna_nas.samplers import BananasSampler, LocalSearchSampler, RegularizedEvolutionSampler
from optuna_nas.spaces import Architecture, LayerDropSpace
from optuna_nas.spaces.layer_drop import Mask, repair


def masks(num_layers: int) -> list[Mask]:
    return list(product((False, True), repeat=num_layers))


def distance(first: Mask, second: Mask) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def architecture(space: LayerDropSpace, mask: Mask) -> Architecture:
    return space.architecture(dict(zip(space.distributions, mask, strict=True)))


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (LayerDropSpace(12), 4095),
        (LayerDropSpace(12, 4, 4), 495),
        (LayerDropSpace(12, 1, 6), 2509),
        (LayerDropSpace(6, 2, 3), 35),
        (LayerDropSpace(1), 1),
        (LayerDropSpace(100, 50, 50), comb(100, 50)),
    ],
)
def test_size_counts_valid_masks(space: LayerDropSpace, size: int) -> None:
    assert space.size == size
    if space.num_layers <= 12:
        reached = {architecture(space, mask).key for mask in masks(space.num_layers)}
        assert len(reached) == size


def test_parameters_are_flags_that_sort_by_layer() -> None:
    names = list(LayerDropSpace(12).distributions)
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("layer_00", "layer_11")
    assert list(LayerDropSpace(101).distributions)[7] == "layer_007"


@pytest.mark.parametrize(("least", "most"), [(1, 7), (3, 4), (4, 4), (2, 2), (7, 7), (1, 1)])
def test_repair_finds_a_nearest_mask(least: int, most: int) -> None:
    valid = [mask for mask in masks(7) if least <= sum(mask) <= most]
    for mask in masks(7):
        repaired = repair(mask, least, most)
        assert repaired in valid
        assert distance(mask, repaired) == min(distance(mask, other) for other in valid)
        assert repair(repaired, least, most) == repaired
        assert repair(mask, least, most) == repaired  # the same each time


def test_repair_only_adds_or_only_drops() -> None:
    for mask in masks(8):
        few, many = repair(mask, 5, 8), repair(mask, 1, 3)
        assert all(after >= before for before, after in zip(mask, few, strict=True))
        if sum(mask) > 3:
            assert all(after <= before for before, after in zip(mask, many, strict=True))


@pytest.mark.parametrize(("least", "most"), [(1, 4), (8, 12), (1, 1), (12, 12)])
def test_repair_prefers_no_layer(least: int, most: int) -> None:
    repaired = [repair(mask, least, most) for mask in masks(12)]
    shares = np.mean(repaired, axis=0)
    # Taking the first layers would give shares from almost 0 to almost 1.
    assert np.ptp(shares) <= 0.1 * shares.mean()


def test_repair_spreads_what_it_drops() -> None:
    for most in (2, 3, 4, 6):
        kept = np.flatnonzero(repair((True,) * 12, 1, most))
        gaps = np.diff([*kept, kept[0] + 12])
        assert gaps.max() - gaps.min() <= 1


def test_a_foreign_mask_keeps_its_parameters_but_has_the_key_of_the_repaired_one() -> None:
    space = LayerDropSpace(6, 2, 3)
    full = architecture(space, (True,) * 6)
    assert full.params == dict.fromkeys(space.distributions, True)
    assert sum(space.mask(full)) == 3
    built = space.parse(str(full))
    assert full != built
    assert full.key == built.key == str(full)
    assert space.kept(full) == space.kept(built) == tuple(np.flatnonzero(space.mask(full)))
    assert space.simplify(full) == built == space.simplify(built)


def test_masks_tell_which_layers_are_kept() -> None:
    space = LayerDropSpace(6)
    found = space.parse("110100")
    assert space.mask(found) == (True, True, False, True, False, False)
    assert space.kept(found) == (0, 1, 3)
    assert str(found) == found.key == "110100"
    assert found["layer_03"] is True
    assert found["layer_04"] is False


def test_random_masks_have_uniform_numbers_of_layers(rng: np.random.Generator) -> None:
    space = LayerDropSpace(12, 3, 7)
    drawn = [space.mask(space.random(rng)) for _ in range(4000)]
    counts = Counter(sum(mask) for mask in drawn)
    assert sorted(counts) == [3, 4, 5, 6, 7]
    assert all(abs(count - 800) < 4 * np.sqrt(800 * 0.8) for count in counts.values())
    shares = np.mean(drawn, axis=0)
    assert np.abs(shares - 5 / 12).max() < 4 * np.sqrt(5 / 12 * 7 / 12 / 4000)


def test_mutation_flips_three_layers_in_ten(rng: np.random.Generator) -> None:
    space = LayerDropSpace(12)
    parent = space.parse("101010101010")
    flips = np.array(
        [distance(space.mask(parent), space.mask(space.mutate(parent, rng))) for _ in range(4000)]
    )
    binomial = np.array([comb(12, k) * 0.3**k * 0.7 ** (12 - k) for k in range(13)])
    binomial[0] = 0.0  # the same mask is never returned
    binomial /= binomial.sum()
    assert flips.min() == 1
    seen = np.bincount(flips, minlength=13) / 4000
    assert np.abs(seen - binomial).max() < 4 * np.sqrt(0.25 / 4000)
    assert abs(flips.mean() - 3.6 / (1 - 0.7**12)) < 4 * np.sqrt(12 * 0.21 / 4000)


def test_mutants_of_a_fixed_number_of_layers_keep_it(rng: np.random.Generator) -> None:
    space = LayerDropSpace(12, 4, 4)
    parent = space.parse("111100000000")
    mutants = [space.mutate(parent, rng) for _ in range(500)]
    assert {sum(space.mask(mutant)) for mutant in mutants} == {4}
    assert parent not in mutants
    assert len({mutant.key for mutant in mutants}) > 100


def test_a_space_of_one_mask_has_nothing_else(rng: np.random.Generator) -> None:
    space = LayerDropSpace(3, 3)
    only = space.random(rng)
    assert space.mutate(only, rng) == only
    assert space.neighbors(only) == []


@pytest.mark.parametrize(
    ("space", "text", "expected"),
    [
        (LayerDropSpace(12), "110000000000", 12),  # flips alone: no bound is near
        (LayerDropSpace(12), "100000000000", 11 + 11),  # 11 to add, 11 swaps, none to drop
        (LayerDropSpace(12), "111111111111", 12),
        (LayerDropSpace(12, 4, 4), "111100000000", 4 * 8),
        (LayerDropSpace(12, 1, 4), "111100000000", 4 + 4 * 8),
        (LayerDropSpace(12, 2, 8), "111100000000", 12),
    ],
)
def test_neighbors_flip_one_layer_or_swap_two(
    space: LayerDropSpace, text: str, expected: int
) -> None:
    found = space.parse(text)
    neighbors = space.neighbors(found)
    assert len(neighbors) == len(set(neighbors)) == expected
    for neighbor in neighbors:
        step = distance(space.mask(found), space.mask(neighbor))
        count = sum(space.mask(neighbor))
        assert step == 1 or (step == 2 and count == sum(space.mask(found)))
        assert space.min_layers <= count <= space.max_layers
        assert found in space.neighbors(neighbor)


def test_every_mask_can_be_reached_through_neighbors() -> None:
    for space in (LayerDropSpace(6), LayerDropSpace(6, 2, 2), LayerDropSpace(6, 3, 4)):
        seen = {space.random(np.random.default_rng(0))}
        edge = set(seen)
        while edge:
            edge = {n for a in edge for n in space.neighbors(a)} - seen
            seen |= edge
        assert len(seen) == space.size


def test_the_graph_is_the_chain_of_kept_layers() -> None:
    space = LayerDropSpace(5)
    graph = space.parse("01101").graph
    open_edges = [e for e in graph.edges if graph.edges[e].get("operation") != "none"]
    chain = nx.DiGraph(open_edges)
    assert list(nx.topological_sort(chain)) == ["input", 1, 2, 4, "output"]
    assert len(open_edges) == 4
    assert [n for n, about in graph.nodes(data=True) if about.get("kept") is False] == [0, 3]
    assert set(graph) == {"input", 0, 1, 2, 3, 4, "output"}  # dropped layers are shown


@pytest.mark.parametrize("text", ["", "1", "0110", "01101x", "000000", "111111", "1 1 0 0 0 0"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"6 digits 0 .* and 1 .*, 2 to 3 of them 1"):
        LayerDropSpace(6, 2, 3).parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "`num_layers` is 0; allowed is an integer from 1 to 1000"),
        ((12, 0), "`min_layers` is 0; allowed is an integer from 1 to 12"),
        ((12, 5, 4), "`min_layers` is 5; allowed is an integer from 1 to 4"),
        ((12, 1, 13), "`max_layers` is 13; allowed is an integer from 1 to 12"),
        ((12, 1, 2.0), "`max_layers` is 2.0"),
        ((True,), "`num_layers` is True"),
    ],
)
def test_wrong_bounds(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LayerDropSpace(*arguments)


@pytest.mark.parametrize(
    "sampler",
    [
        BananasSampler(seed=1, n_startup_trials=10),
        RegularizedEvolutionSampler(seed=1),
        LocalSearchSampler(seed=1),
        optuna.samplers.RandomSampler(seed=1),
        optuna.samplers.TPESampler(seed=1, n_startup_trials=5),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_any_sampler_finds_the_layers_that_matter(sampler: optuna.samplers.BaseSampler) -> None:
    space = LayerDropSpace(8, 1, 3)
    worth = np.array([0, 3, 0, 0, 5, 0, 0, 2])
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        found = space.suggest(trial)
        assert found.params == trial.params
        assert 1 <= len(space.kept(found)) <= 3
        return float(worth[list(space.kept(found))].sum())

    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=40)
    assert study.best_value >= 8  # the best of three layers is 10, a random choice brings 3.75
