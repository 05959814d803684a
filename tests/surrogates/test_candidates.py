"""Candidates: new, different, from the best parents first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from optuna_nas.spaces import Architecture, CellSpace, NASBench201Space, SearchSpace
from optuna_nas.surrogates import (
    CandidateGenerator,
    FadingRandomCandidates,
    JoinedCandidates,
    MutationCandidates,
    NeighborCandidates,
    Pool,
    RandomCandidates,
    ScatteredCandidates,
)

SPACE = NASBench201Space()
TINY = CellSpace(2, ("none", "skip_connect", "conv"))
GENERATORS: dict[str, CandidateGenerator] = {
    "random": RandomCandidates(40),
    "mutation": MutationCandidates(40),
    "mutation-far": MutationCandidates(40, num_parents=2, max_edits=4),
    "neighbors": NeighborCandidates(40),
    "scattered": ScatteredCandidates(50),
    "fading": FadingRandomCandidates(40),
    "joined": JoinedCandidates(MutationCandidates(20), RandomCandidates(30)),
}


@pytest.fixture(params=GENERATORS.values(), ids=list(GENERATORS))
def generator(request: pytest.FixtureRequest) -> CandidateGenerator:
    made: CandidateGenerator = request.param
    return made


@pytest.fixture
def parents(rng: np.random.Generator) -> list[Architecture]:
    return [SPACE.random(rng) for _ in range(12)]


def pool_of(
    parents: list[Architecture],
    rng: np.random.Generator,
    *,
    space: SearchSpace = SPACE,
    taken: frozenset[str] = frozenset(),
    adopt: Callable[[Architecture], Architecture | None] = lambda a: a,
) -> Pool:
    return Pool(space, parents, adopt, lambda a: a.key not in taken, rng, by_name)


def by_name(architectures: Sequence[Architecture]) -> np.ndarray:
    """A score of its own for each architecture; that of a text is not lost among equal ones."""
    return np.array([crc32(str(a).encode()) for a in architectures], dtype=float)


def edits(first: Architecture, second: Architecture) -> int:
    return sum(first[name] != second[name] for name in first.params)


def test_candidates_are_new_and_different(
    generator: CandidateGenerator, parents: list[Architecture], rng: np.random.Generator
) -> None:
    taken = frozenset(a.key for a in parents) | {
        mutant.key for a in parents[:2] for mutant in SPACE.neighbors(a)[::2]
    }
    candidates = generator(pool_of(parents, rng, taken=taken))
    keys = [a.key for a in candidates]
    assert 20 <= len(keys) <= 50
    assert len(keys) == len(set(keys))
    assert not taken & set(keys)


def test_candidates_depend_on_the_generator_of_the_pool_only(
    generator: CandidateGenerator, parents: list[Architecture]
) -> None:
    one, two, three = (
        generator(pool_of(parents, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert one == two != three


def test_candidates_are_adopted_before_they_are_compared(
    generator: CandidateGenerator, parents: list[Architecture], rng: np.random.Generator
) -> None:
    def adopt(architecture: Architecture) -> Architecture | None:
        if architecture["edge_0_1"] == "none":
            return None
        return SPACE.architecture({**architecture.params, "edge_0_3": "nor_conv_3x3"})

    candidates = generator(pool_of(parents, rng, adopt=adopt))
    assert candidates
    assert {a["edge_0_3"] for a in candidates} == {"nor_conv_3x3"}
    assert "none" not in {a["edge_0_1"] for a in candidates}
    assert len({a.key for a in candidates}) == len(candidates)


def test_an_exhausted_space_gives_none(
    generator: CandidateGenerator, rng: np.random.Generator
) -> None:
    everything = [TINY.architecture({"edge_0_1": name}) for name in TINY.operations]
    keys = frozenset(a.key for a in everything)
    assert generator(pool_of(everything, rng, space=TINY, taken=keys)) == []
    left = generator(pool_of(everything, rng, space=TINY, taken=keys - {everything[0].key}))
    assert left == [everything[0]]


def test_an_impossible_request_gives_none(
    generator: CandidateGenerator, parents: list[Architecture], rng: np.random.Generator
) -> None:
    assert generator(pool_of(parents, rng, adopt=lambda _: None)) == []


def test_mutants_come_from_the_best_parent_while_there_are_enough(
    parents: list[Architecture], rng: np.random.Generator
) -> None:
    def origins(candidates: list[Architecture]) -> list[int]:
        return [min(i for i, p in enumerate(parents) if edits(p, a) == 1) for a in candidates]

    assert origins(MutationCandidates(6)(pool_of(parents, rng)))[:3] == [0, 0, 0]
    # The best parent has 24 neighbours at most: the second one fills up, then the third.
    more = origins(MutationCandidates(40)(pool_of(parents, rng)))
    assert more == sorted(more)
    assert more.count(0) > 15
    assert {0, 1} <= set(more) <= {0, 1, 2, 3}


def test_the_number_of_parents_is_limited(
    parents: list[Architecture], rng: np.random.Generator
) -> None:
    mutants = MutationCandidates(1_000, num_parents=2)(pool_of(parents, rng))
    neighbors = {a.key for p in parents[:2] for a in SPACE.neighbors(p)}
    assert {a.key for a in mutants} == neighbors  # a thousand tries each reach all


def test_edits_are_equally_likely(rng: np.random.Generator) -> None:
    calls = [0, 0, 0, 0]

    class Chain(CellSpace):
        """A space whose mutations count how far they are from the root."""

        def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
            calls[list(architecture.params.values()).count("b")] += 1
            edge = next(name for name in architecture.params if architecture[name] == "a")
            return self.architecture({**architecture.params, edge: "b"})

    space = Chain(4, ("a", "b"))
    root = space.architecture(dict.fromkeys(space.distributions, "a"))
    mutants = MutationCandidates(900, max_edits=3)(pool_of([root], rng, space=space))
    assert {edits(root, a) for a in mutants} == {1, 2, 3}
    # All 900 begin at the root, two thirds go on, one third goes on again.
    assert calls == pytest.approx([900, 600, 300, 0], abs=60)


def test_random_candidates_do_not_look_at_parents(rng: np.random.Generator) -> None:
    assert len(RandomCandidates(25)(pool_of([], rng))) == 25
    for generator in (MutationCandidates(), ScatteredCandidates(), NeighborCandidates()):
        assert generator(pool_of([], rng)) == []
    assert FadingRandomCandidates(7)(pool_of([], rng))


def test_neighbors_of_the_best(parents: list[Architecture], rng: np.random.Generator) -> None:
    expected = {n.key for p in parents[:3] for n in SPACE.neighbors(p)}
    generator = NeighborCandidates(1_000, num_parents=3)
    assert {a.key for a in generator(pool_of(parents, rng))} == expected
    some = NeighborCandidates(20, num_parents=3)(pool_of(parents, rng))
    assert len(some) <= 20
    assert {a.key for a in some} < expected
    # Which ones is left to chance, not to the order of the parents.
    assert len({min(edits(p, a) for p in parents[:1]) for a in some}) > 1


def test_neighbors_do_not_depend_on_earlier_calls(parents: list[Architecture]) -> None:
    used, fresh = NeighborCandidates(30), NeighborCandidates(30)
    used(pool_of(parents[3:], np.random.default_rng(1)))
    again = used(pool_of(parents, np.random.default_rng(2)))
    assert again == fresh(pool_of(parents, np.random.default_rng(2)))


def test_scattered_candidates_are_some_edits_away(
    parents: list[Architecture], rng: np.random.Generator
) -> None:
    close = ScatteredCandidates(400, num_parents=1, edits=1)(pool_of(parents, rng))
    assert {edits(parents[0], a) for a in close} == {1}
    far = ScatteredCandidates(200, num_parents=1, edits=2)(pool_of(parents, rng))
    assert {1, 2} <= {edits(parents[0], a) for a in far} <= {0, 1, 2}  # there may be a way back
    every = ScatteredCandidates(200, num_parents=12, edits=1)(pool_of(parents, rng))
    chosen = {i for a in every for i, p in enumerate(parents) if edits(p, a) == 1}
    assert chosen == set(range(12))


@pytest.mark.parametrize(("known", "drawn"), [(0, 50), (1, 50), (4, 50), (10, 10), (40, 0)])
def test_random_candidates_fade(
    known: int, drawn: int, parents: list[Architecture], rng: np.random.Generator
) -> None:
    calls = 0

    class Counting(NASBench201Space):
        def random(self, rng: np.random.Generator) -> Architecture:
            nonlocal calls
            calls += 1
            return super().random(rng)

    space = Counting()
    pool = pool_of((parents * 4)[:known], rng, space=space)
    FadingRandomCandidates(50, fade=1_000)(pool)
    assert calls == drawn


def test_joined_candidates_keep_the_order_and_each_function_once(
    parents: list[Architecture], rng: np.random.Generator
) -> None:
    class Fixed(CandidateGenerator):
        def __init__(self, *architectures: Architecture) -> None:
            self.architectures = list(architectures)

        def __call__(self, pool: Pool) -> list[Architecture]:
            return self.architectures

    different = list({p.key: p for p in parents}.values())
    first, second, third = different[:3]
    joined = JoinedCandidates(Fixed(first, second), Fixed(second, third, first))
    assert joined(pool_of(parents, rng)) == [first, second, third]


def test_the_stream_of_a_pool_is_lazy(rng: np.random.Generator) -> None:
    drawn = 0

    def stream() -> Iterator[Architecture]:
        nonlocal drawn
        while True:
            drawn += 1
            yield SPACE.random(rng)

    next(pool_of([], rng).distinct(stream()))
    assert drawn == 1


@pytest.mark.parametrize("value", [0, -3, 1.5, "5", None])
@pytest.mark.parametrize("name", ["num", "num_parents", "max_edits"])
def test_bad_numbers(name: str, value: Any) -> None:
    message = f"`{name}` is {value!r}; allowed is an integer of 1 or more"
    with pytest.raises(ValueError, match=message):
        MutationCandidates(**{name: value})
    if name == "num":
        with pytest.raises(ValueError, match=message):
            RandomCandidates(value)
