"""Which trial is the best, wherever it is asked for."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from optuna_nas._ranking import (
    Standing,
    best_trials,
    constraints_of,
    is_feasible,
    on_front,
    ranked_trials,
    ranking,
    violation,
    why_no_best,
)
from optuna_nas.cli.objectives import RECIPES
from optuna_nas.cli.origin import best_architectures
from optuna_nas.cli.progress import Progress
from optuna_nas.cli.results import _best_trial, show_best
from optuna_nas.spaces import NASBench201Space, remember_space
from optuna_nas.storages import show_constraints
from optuna_nas.trials import TrialRun
from optuna_nas.trials.weights import kept_trials
from optuna_nas.visualization import plot_accuracy_size
from optuna_nas.visualization.records import ranked_records, read_records
from optuna_nas.visualization.report_parts import CELLS

MAXIMIZE, MINIMIZE = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
SPACE = NASBench201Space()
CELLS_OF = [SPACE.random(np.random.default_rng(seed)) for seed in range(9)]
Outcome = tuple[int, str, str]


def trial(number: int, *values: float, **limits: Any) -> FrozenTrial:
    """A complete trial; its limits are its constraints."""
    attributes = {f"constraints:{name}": value for name, value in limits.items()}
    cell = CELLS_OF[number]
    made = create_trial(
        values=values,
        system_attrs=attributes,
        params=cell.params,
        distributions=SPACE.distributions,
        user_attrs={"parameters": 1000 * (9 - number)},
    )
    made.number = number
    return made


def study_of(trials: Sequence[FrozenTrial], *directions: str, storage: Any = None) -> optuna.Study:
    ways = [StudyDirection[direction.upper()] for direction in directions]
    study = optuna.create_study(study_name="s", storage=storage, directions=ways)
    remember_space(study.ask(), SPACE)
    study.tell(0, state=TrialState.FAIL)
    for made in trials:
        study.add_trial(made)
    return study


@pytest.mark.parametrize(
    ("attributes", "expected", "violated"),
    [
        ({}, {}, 0.0),
        ({"constraints": None}, {}, 0.0),
        ({"constraints": [-1.0, 0]}, {"0": -1.0, "1": 0.0}, 0.0),
        ({"constraints": [2.0], "constraints:size": 3}, {"0": 2.0, "size": 3.0}, 5.0),
        ({"constraints:size": math.inf}, {"size": math.inf}, math.inf),
        ({"constraints:size": -math.inf}, {"size": -math.inf}, 0.0),
        ({"constraints:size": 1e-320}, {"size": 1e-320}, 1e-320),
        ({"constraints:a": 1e308, "constraints:b": 1e308}, {"a": 1e308, "b": 1e308}, math.inf),
    ],
)
def test_constraints(attributes: Any, expected: dict[str, float], violated: float) -> None:
    made = create_trial(value=0.0, system_attrs=attributes)
    assert constraints_of(made) == expected
    assert violation(made) == violated and is_feasible(made) == (violated == 0)


@pytest.mark.parametrize("value", [math.nan, "1", None, True, [1], {}, 10**400])
def test_a_constraint_that_is_no_number_is_not_known_to_be_met(value: Any) -> None:
    for attributes in ({"constraints:size": value}, {"constraints": [value]}):
        assert violation(create_trial(value=0.0, system_attrs=attributes)) == math.inf
    if value is not None and value != [1]:
        assert not is_feasible(create_trial(value=0.0, system_attrs={"constraints": value}))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_of_one_objective(sign: int) -> None:
    direction = [MAXIMIZE if sign == 1 else MINIMIZE]
    trials = [
        trial(0, sign * 0.9, size=1.0),
        trial(1, sign * math.inf),
        trial(2, sign * 0.5, size=-1.0),
        trial(3, -sign * math.inf),
        trial(4, sign * 0.7),
        trial(5, sign * 0.7, size=0.0),
        trial(6, sign * 0.8, size=math.nan),
    ]
    assert [t.number for t in ranked_trials(trials, direction)] == [4, 5, 2]
    assert [t.number for t in best_trials(trials, direction)] == [4]


def test_the_best_of_several_objectives() -> None:
    trials = [
        trial(0, 0.9, 9.0),
        trial(1, 0.9, 9.0),
        trial(2, 0.8, 9.0),
        trial(3, 0.1, 1.0),
        trial(4, 0.95, 1.0, size=1.0),
        trial(5, 0.99, math.inf),
        trial(6, 0.9, -math.inf),
    ]
    assert [t.number for t in best_trials(trials, [MAXIMIZE, MINIMIZE])] == [0, 1, 3]


def test_what_is_not_complete_or_of_other_objectives_is_never_the_best() -> None:
    trials = [
        create_trial(state=TrialState.PRUNED, value=1.0),
        create_trial(state=TrialState.FAIL),
        trial(2, 1.0, 2.0),
    ]
    assert ranked_trials(trials, [MAXIMIZE]) == []


VECTORS = st.integers(1, 3).flatmap(
    lambda k: st.lists(
        st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, math.inf]) for _ in range(k)]), min_size=1
    )
)


@given(vectors=VECTORS)
def test_the_front_is_what_nothing_dominates(vectors: list[tuple[float, ...]]) -> None:
    def dominated(own: tuple[float, ...]) -> bool:
        return any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for other in vectors
        )

    expected = [not dominated(own) for own in vectors]
    assert on_front(np.array(vectors)).tolist() == expected


@given(vectors=VECTORS, violations=st.lists(st.sampled_from([0.0, 1.0, math.inf]), min_size=1))
def test_who_is_better_comes_first(
    vectors: list[tuple[float, ...]], violations: list[float]
) -> None:
    standings = {
        n: Standing(losses, violations[n % len(violations)]) for n, losses in enumerate(vectors)
    }
    order = ranking(standings)
    for place, number in enumerate(order):
        for other in order[:place]:
            assert not standings[number].is_better(standings[other])
    if len(vectors[0]) == 1:
        assert order == sorted(standings, key=lambda n: (standings[n].order, n))


def test_why_there_is_no_best() -> None:
    infeasible = [trial(0, 0.9, size=3.0), trial(1, 0.1, size=2.0, time=-1.0), trial(2, 0.5, a=9)]
    assert why_no_best([], [MAXIMIZE]) == "has no complete trial yet"
    assert why_no_best([trial(0, math.inf)], [MAXIMIZE]) == (
        "has 1 complete trial, and no feasible one of a finite value"
    )
    assert why_no_best(infeasible, [MAXIMIZE]) == (
        "has 3 complete trials, and none is feasible: trial 1 violates its constraints least "
        "(size, by 2 in all)"
    )


INFEASIBLE_IS_BETTER = [trial(1, 0.9, size=1.0), trial(2, 0.5, size=-1.0), trial(3, 0.4)]


def test_the_best_is_the_same_everywhere(tmp_path: Path) -> None:
    study = study_of(INFEASIBLE_IS_BETTER, "maximize")
    trials = study.get_trials()
    [best] = best_trials(trials, study.directions)
    assert best.number == 2 == study.best_trial.number == _best_trial(study).number
    assert best_architectures(study, SPACE) == [CELLS_OF[2], CELLS_OF[3]]
    assert [record.number for record in ranked_records(study, read_records(study))] == [2, 3]
    console = Console(file=io.StringIO(), width=100)
    assert show_best(console, study, CELLS)
    assert isinstance(console.file, io.StringIO)
    assert "best trial       2" in console.file.getvalue()
    progress = Progress(console, study, 9, RECIPES["cell-cnn"], RECIPES["cell-cnn"].defaults)
    assert progress._best(trials) == "  best 0.5000 (trial 2)"
    _, front = plot_accuracy_size(study).data  # trial 1 is the best for no size
    assert list(front.y) == [0.4, 0.5]
    shown = show_constraints(study._storage)
    assert shown.get_best_trial(study._study_id).number == 2


def test_progress_says_that_none_is_feasible() -> None:
    study = study_of(INFEASIBLE_IS_BETTER[:1], "maximize")
    progress = Progress(Console(), study, 9, RECIPES["cell-cnn"], RECIPES["cell-cnn"].defaults)
    assert progress._best(study.get_trials()) == "  none is feasible yet"


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_commands_say_that_none_is_feasible(
    call_in: Callable[..., Outcome], tmp_path: Path, directions: list[str]
) -> None:
    from optuna_nas.cli.config import Given, SearchConfig
    from optuna_nas.cli.studies import CONFIG_ATTRIBUTE

    address = f"sqlite:///{tmp_path / 'optuna-nas.db'}"
    trials = [trial(n, *([0.5] * len(directions)), size=float(n)) for n in (2, 1)]
    study = study_of(trials, *directions, storage=address)
    config = SearchConfig.resolve(Given("s", address), None)
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "", "config": config.to_dict()})
    for arguments in (
        ["best", "--study=s"],
        ["export", "--study=s"],
        ["search", "--start-from=s"],
    ):
        code, _, err = call_in(tmp_path, *arguments)
        assert code == 2 and "none is feasible: trial 2 violates its constraints least" in err
        assert "no complete trial" not in err


def test_weights_of_the_least_violation_are_kept_until_one_is_feasible(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")

    def finish(value: float, size: float) -> None:
        asked = study.ask()
        asked.set_constraint("size", size)
        with TrialRun(asked, tmp_path) as run:
            run.finish(value, {}, keep=1)
        study.tell(asked, value)

    for value, size, kept in ((0.9, 3.0, 0), (0.1, 1.0, 1), (0.8, 2.0, 1), (0.05, -1.0, 3)):
        finish(value, size)
        assert kept_trials(study) == [kept]


def test_weights_that_an_earlier_version_kept(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    for name, stored in {"0": [-0.9], "1": [math.inf], "2": None, "x": 1, "4": ["a"]}.items():
        study._storage.set_study_system_attr(study._study_id, f"optuna_nas:weights:{name}", stored)
    assert kept_trials(study) == [0, 1]
