"""Candidates that a search on the acquisition finds: local optima, improvement, budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces import Architecture, CellSpace, FlatSpace, NASBench201Space, SearchSpace
from optuna_nas.surrogates import (
    BeamCandidates,
    CandidateGenerator,
    EvolutionCandidates,
    LocalSearchCandidates,
    Pool,
    RandomCandidates,
)

SPACE = NASBench201Space()
TINY = CellSpace(2, ("none", "skip_connect", "conv"))
GENERATORS: dict[str, Callable[[], CandidateGenerator]] = {
    "local_search": LocalSearchCandidates,
    "evolution": EvolutionCandidates,
    "beam": lambda: BeamCandidates(RandomCandidates(50), width=3, steps=6),
}


class Score:
    """An additive score with a little of each architecture's own; counts its calls."""

    def __init__(self, own: float = 0.3) -> None:
        self.own = own
        self.asked: list[Architecture] = []
        self.calls = 0

    def __call__(self, architectures: Sequence[Architecture]) -> np.ndarray:
        self.calls += 1
        self.asked += architectures
        return np.array([self.one(a) for a in architectures])

    def one(self, architecture: Architecture) -> float:
        parts = (crc32(f"{n}={v}".encode()) for n, v in architecture.params.items())
        return (sum(parts) + self.own * crc32(architecture.key.encode())) / 2**32


@pytest.fixture(params=GENERATORS.values(), ids=list(GENERATORS))
def generator(request: pytest.FixtureRequest) -> CandidateGenerator:
    made: CandidateGenerator = request.param()
    return made


@pytest.fixture
def parents(rng: np.random.Generator) -> list[Architecture]:
    return sorted((SPACE.random(rng) for _ in range(12)), key=Score().one)


def pool_of(
    parents: list[Architecture],
    rng: np.random.Generator,
    score: Callable[[Sequence[Architecture]], np.ndarray],
    *,
    space: SearchSpace = SPACE,
    taken: frozenset[str] = frozenset(),
    adopt: Callable[[Architecture], Architecture | None] = lambda a: a,
) -> Pool:
    return Pool(space, parents, adopt, lambda a: a.key not in taken, rng, score)


def test_candidates_are_new_and_different(
    generator: CandidateGenerator, parents: list[Architecture], rng: np.random.Generator
) -> None:
    taken = frozenset(a.key for a in parents) | {
        mutant.key for a in parents[:2] for mutant in SPACE.neighbors(a)[::2]
    }
    score = Score()
    candidates = generator(pool_of(parents, rng, score, taken=taken))
    keys = [a.key for a in candidates]
    assert len(keys) > 100
    assert len(keys) == len(set(keys))
    assert not taken & set(keys)
    # All that was scored is returned, and scored once, in few portions.
    assert candidates == score.asked
    assert score.calls < 25


def test_candidates_depend_on_the_generator_of_the_pool_only(
    generator: CandidateGenerator, parents: list[Architecture]
) -> None:
    one, two, three = (
        generator(pool_of(parents, np.random.default_rng(seed), Score())) for seed in (1, 1, 2)
    )
    assert one == two != three


def test_candidates_are_adopted(
    generator: CandidateGenerator, parents: list[Architecture], rng: np.random.Generator
) -> None:
    def adopt(architecture: Architecture) -> Architecture | None:
        if architecture["edge_0_1"] == "none":
            return None
        return SPACE.architecture({**architecture.params, "edge_0_3": "nor_conv_3x3"})

    candidates = generator(pool_of(parents, rng, Score(), adopt=adopt))
    assert {a["edge_0_3"] for a in candidates} == {"nor_conv_3x3"}
    assert "none" not in {a["edge_0_1"] for a in candidates}
    assert generator(pool_of(parents, rng, Score(), adopt=lambda _: None)) == []


def test_an_exhausted_space_gives_none(
    generator: CandidateGenerator, rng: np.random.Generator
) -> None:
    everything = [TINY.architecture({"edge_0_1": name}) for name in TINY.operations]
    keys = frozenset(a.key for a in everything)
    score = Score()
    assert generator(pool_of(everything, rng, score, space=TINY, taken=keys)) == []
    left = keys - {everything[0].key}
    assert generator(pool_of(everything, rng, score, space=TINY, taken=left)) == [everything[0]]


def test_without_parents_the_start_is_random(
    generator: CandidateGenerator, rng: np.random.Generator
) -> None:
    assert len(generator(pool_of([], rng, Score()))) > 50


@pytest.mark.parametrize("seed", range(5))
def test_climbs_end_in_local_optima(seed: int, parents: list[Architecture]) -> None:
    score = Score(own=1.5)  # rugged: there are many
    taken = frozenset(a.key for a in parents)
    pool = pool_of(parents, np.random.default_rng(seed), score, taken=taken)
    found = LocalSearchCandidates(10_000, num_parents=2, num_random=2)(pool)
    scores = {a.key: score.one(a) for a in found}
    optima = [
        a
        for a in found
        if all(
            scores.get(n.key, np.inf) >= scores[a.key]
            for n in SPACE.neighbors(a)
            if n.key not in taken
        )
        and all(n.key in scores for n in SPACE.neighbors(a) if n.key not in taken)
    ]
    best = min(found, key=score.one)
    assert best in optima
    assert 1 <= len(optima) <= 4


def test_every_start_is_climbed_from(parents: list[Architecture]) -> None:
    """The neighbourhoods of all starts are scored."""
    score = Score()
    pool = pool_of(parents, np.random.default_rng(0), score)
    LocalSearchCandidates(1, num_parents=3, num_random=4)(pool)
    assert len({a.key for a in score.asked}) <= 4  # the random starts only: the budget is spent
    LocalSearchCandidates(5, num_parents=3, num_random=4)(pool)
    scored = {a.key for a in score.asked}
    for parent in parents[:3]:
        assert {n.key for n in SPACE.neighbors(parent)} <= scored


@pytest.mark.parametrize("name", GENERATORS)
def test_a_search_finds_better_scores_than_chance(name: str, parents: list[Architecture]) -> None:
    best: dict[str, list[float]] = {"search": [], "random": []}
    for seed in range(10):
        score = Score(own=0.5)
        found = GENERATORS[name]()(pool_of(parents[6:], np.random.default_rng(seed), score))
        best["search"].append(min(map(score.one, found)))
        random = RandomCandidates(len(found))(
            pool_of([], np.random.default_rng(seed), Score(own=0.5))
        )
        best["random"].append(min(map(score.one, random)))
    assert np.mean(best["search"]) < np.mean(best["random"]) - 0.15


@pytest.mark.parametrize("seed", range(5))
def test_a_narrow_beam_walks_to_the_optimum(seed: int) -> None:
    """Where every parameter has a share of its own, each step sets the one that helps most."""
    names, choices = [f"p{n}" for n in range(6)], ("a", "b", "c", "d")
    space = FlatSpace(dict.fromkeys(names, CategoricalDistribution(choices)))
    score = Score(own=0)
    pool = pool_of([], np.random.default_rng(seed), score, space=space)
    found = BeamCandidates(RandomCandidates(1), width=1, steps=6)(pool)
    optimum = sum(min(crc32(f"{name}={o}".encode()) for o in choices) for name in names)
    assert min(map(score.one, found)) == pytest.approx(optimum / 2**32)
    assert len(found) < 1 + 6 * 18


def test_the_beam_moves_on(parents: list[Architecture], rng: np.random.Generator) -> None:
    """A step scores the neighbours of the best that the step before met, and of no others."""

    class Few(CandidateGenerator):
        def __call__(self, pool: Pool) -> list[Architecture]:
            return parents[:4]

    def reached(front: list[Architecture], known: set[str]) -> set[str]:
        beam = sorted(front, key=score.one)[:2]
        return {n.key for a in beam for n in SPACE.neighbors(a)} - known

    score = Score()
    found = BeamCandidates(Few(), width=2, steps=2)(pool_of([], rng, score))
    assert found == score.asked
    assert score.calls == 3
    by_key = {a.key: a for a in found}
    first = {a.key for a in parents[:4]}
    second = reached(parents[:4], first)
    third = reached([by_key[key] for key in second], first | second)
    assert set(by_key) == first | second | third


def test_the_budget_of_evolution(parents: list[Architecture], rng: np.random.Generator) -> None:
    score = Score()
    found = EvolutionCandidates(
        100, population_size=40, tournament_size=4, generation_size=10, num_parents=3
    )(pool_of(parents, rng, score))
    # Mutants that were met before are not scored again, so it may be fewer.
    assert 60 <= len(found) <= 100
    assert 8 <= score.calls <= 9  # two for the first population, one for each generation
    first = found[:20]
    assert all(
        min(sum(a[n] != p[n] for n in a.params) for p in parents[:3]) == 1 for a in first[:15]
    )


def test_the_oldest_leave_the_population(rng: np.random.Generator) -> None:
    """With a population of one generation, parents come from the generation before."""

    class Counting(NASBench201Space):
        parents: list[Architecture]

        def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
            self.parents.append(architecture)
            return super().mutate(architecture, rng)

    space = Counting()
    space.parents = []
    score = Score()
    EvolutionCandidates(60, population_size=10, tournament_size=3, generation_size=10)(
        pool_of([], rng, score, space=space)
    )
    first = {a.key for a in score.asked[:10]}
    assert {a.key for a in space.parents[:10]} <= first
    assert not {a.key for a in space.parents[-10:]} & first


@pytest.mark.parametrize("value", [0, -3, 1.5, "5", None])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (LocalSearchCandidates, "num"),
        (LocalSearchCandidates, "num_parents"),
        (LocalSearchCandidates, "num_random"),
        (partial(BeamCandidates, RandomCandidates()), "width"),
        (partial(BeamCandidates, RandomCandidates()), "steps"),
        (EvolutionCandidates, "num"),
        (EvolutionCandidates, "population_size"),
        (EvolutionCandidates, "tournament_size"),
        (EvolutionCandidates, "generation_size"),
        (EvolutionCandidates, "num_parents"),
    ],
)
def test_bad_numbers(kind: Callable[..., CandidateGenerator], name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}; allowed is an integer of 1 or"):
        kind(**{name: value})
