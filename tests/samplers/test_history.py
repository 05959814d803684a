"""What a study's trials tell: by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._proposals import PROPOSAL_ATTRIBUTE
from optuna_nas.samplers._history import History
from optuna_nas.samplers._reading import HistoryReader
from optuna_nas.spaces import Architecture, CellSpace

Finished = Callable[..., FrozenTrial]
Direction = Literal["minimize", "maximize"]
SPACE = CellSpace(3, ("a", "b", "none"))
CELLS = [
    SPACE.parse(f"|{x}~0|+|{y}~0|{z}~1|")
    for x, y, z in ("aaa", "bbb", "aba", "bab", "aab", "bba", "abb", "baa")
]


def read(
    trials: list[FrozenTrial], *, direction: Direction = "minimize", except_number: int = -1
) -> History:
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    return HistoryReader(SPACE).read(study, study.trials, except_number=except_number)


def values(history: History) -> dict[int, float]:
    return {o.number: o.values[0] for o in history.observations}


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_pruned_trials_are_estimated_by_the_median_change(
    finished: Finished, direction: Direction, sign: float
) -> None:
    """Three trials changed by -1, -2 and -6 from step 2 to their end, so -2 it is."""
    trials = [
        finished(CELLS[0], sign * 9.0, intermediate_values={0: sign * 50.0, 2: sign * 10.0}),
        finished(CELLS[1], sign * 5.0, intermediate_values={0: sign * 40.0, 2: sign * 7.0}),
        finished(CELLS[2], sign * 4.0, intermediate_values={2: sign * 10.0}),
        finished(CELLS[3], sign * 1.0, intermediate_values={1: sign * 0.5}),
        finished(
            CELLS[4],
            state=TrialState.PRUNED,
            intermediate_values={0: sign * 60.0, 2: sign * 20.0},
        ),
        finished(CELLS[5], state=TrialState.PRUNED, intermediate_values={0: sign * 60.0}),
    ]
    history = read(trials, direction=direction)
    # At step 0 the changes were -41 and -35.
    assert values(history) == {0: 9.0, 1: 5.0, 2: 4.0, 3: 1.0, 4: 20 - 2, 5: 60 - 38}
    assert [o.pruned for o in history.observations] == [False] * 4 + [True] * 2
    assert [o.number for o in history.completed] == [0, 1, 2, 3]
    assert [o.number for o in history.ranked] == [3, 2, 1, 0, 4, 5]
    assert history.taken == {cell.key for cell in CELLS[:6]}


@pytest.mark.parametrize(
    "reports",
    [
        {},  # nothing reported
        {7: 3.0},  # at a step where no trial completed
        {2: float("nan")},
        {2: float("inf")},
    ],
)
def test_pruned_trials_that_cannot_be_estimated(
    finished: Finished, reports: dict[int, float]
) -> None:
    """They count as the worst that is known, and are not repeated either."""
    trials = [
        finished(CELLS[0], 9.0, intermediate_values={2: 10.0}),
        finished(CELLS[1], state=TrialState.PRUNED, intermediate_values=reports),
        finished(CELLS[2], 1.0),
    ]
    history = read(trials)
    assert values(history) == {0: 9.0, 1: 9.0, 2: 1.0}
    assert history.taken == {CELLS[n].key for n in range(3)}
    assert values(read(trials[1:2])) == {}  # in comparison with nothing
    assert values(read(trials[1:])) == {1: 1.0, 0: 2.0}  # and worse than all others


def test_infinite_changes_do_not_count(finished: Finished) -> None:
    trials = [
        finished(CELLS[0], 9.0, intermediate_values={2: 10.0}),
        finished(CELLS[1], float("inf"), intermediate_values={2: 10.0}),
        finished(CELLS[2], 5.0, intermediate_values={2: float("nan")}),
        finished(CELLS[3], state=TrialState.PRUNED, intermediate_values={2: 4.0}),
    ]
    assert values(read(trials)) == {0: 9.0, 1: 9.0, 2: 5.0, 3: 9.0}
    trials[3] = finished(CELLS[3], state=TrialState.PRUNED, intermediate_values={2: 12.0})
    assert values(read(trials))[3] == 11.0


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_infinities_become_the_worst_and_the_best(
    finished: Finished, direction: Direction, sign: float
) -> None:
    infinity = float("inf")
    numbers = [3.0, infinity, 8.0, -infinity]
    trials = [finished(c, sign * v) for c, v in zip(CELLS[:4], numbers, strict=True)]
    assert values(read(trials, direction=direction)) == {0: 3.0, 1: 8.0, 2: 8.0, 3: 3.0}
    assert values(read([finished(CELLS[0], infinity)])) == {0: 0.0}


def test_equal_values_rank_by_number(finished: Finished) -> None:
    history = read([finished(c, v) for c, v in zip(CELLS, (2.0, 1.0, 2.0, 1.0), strict=False)])
    assert [o.number for o in history.ranked] == [1, 3, 0, 2]
    assert history.values.tolist() == [[2], [1], [2], [1]]


def test_states(finished: Finished) -> None:
    trials = [
        finished(CELLS[0], 1.0),
        finished(CELLS[1], state=TrialState.FAIL),
        finished(CELLS[2], state=TrialState.RUNNING),
        finished(CELLS[3], state=TrialState.RUNNING),
    ]
    history = read(trials)
    assert values(history) == {0: 1.0, 1: 2.0}
    assert [o.failed for o in history.observations] == [False, True]
    assert history.taken == {CELLS[n].key for n in (0, 2, 3)}
    # A trial is not pending to itself.
    assert read(trials, except_number=3).taken == {CELLS[n].key for n in (0, 2)}


def test_pending_trials() -> None:
    def pending(
        state: TrialState, architecture: Architecture | None, **attributes: Any
    ) -> FrozenTrial:
        params = {} if architecture is None else architecture.params
        return optuna.trial.create_trial(
            state=state,
            params=params,
            distributions={name: SPACE.distributions[name] for name in params},
            system_attrs=attributes,
        )

    published = {PROPOSAL_ATTRIBUTE: str(CELLS[1])}
    trials = [
        pending(TrialState.WAITING, None, fixed_params=CELLS[0].params),
        pending(TrialState.RUNNING, None, **published),
        pending(TrialState.RUNNING, CELLS[2], **published),  # what it evaluates counts
        pending(TrialState.RUNNING, None, fixed_params={"edge_0_1": "a"}),
        pending(TrialState.WAITING, None, fixed_params={"x": 3}),
        pending(TrialState.RUNNING, None, **{PROPOSAL_ATTRIBUTE: "|a~0|+|b"}),
        pending(TrialState.RUNNING, None),
    ]
    study = optuna.create_study()
    for number, trial in enumerate(trials):
        trial.number = number
    history = HistoryReader(SPACE).read(study, trials, except_number=-1)
    assert history.keys == {n: frozenset([CELLS[n].key]) for n in (0, 1, 2)}
    assert not history.observations


def test_what_was_proposed_is_not_proposed_again(finished: Finished) -> None:
    """With conditional parameters a trial evaluates only a part of what was proposed for it."""
    trials = [
        finished(CELLS[0], 1.0, system_attrs={PROPOSAL_ATTRIBUTE: str(CELLS[1])}),
        finished(CELLS[2], 2.0, system_attrs={PROPOSAL_ATTRIBUTE: "half-wri"}),
        finished(
            CELLS[3], state=TrialState.FAIL, system_attrs={PROPOSAL_ATTRIBUTE: str(CELLS[4])}
        ),
    ]
    history = read(trials)
    assert history.taken == {CELLS[n].key for n in (0, 1, 2)}
    assert [o.architecture for o in history.observations] == [CELLS[n] for n in (0, 2, 3)]


def test_trials_of_other_parameters_are_left_out(finished: Finished) -> None:
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    study.add_trial(finished(CELLS[0], 1.0))
    other = optuna.create_study()
    other.add_trials(study.trials)
    history = HistoryReader(SPACE).read(other, other.trials, except_number=-1)
    assert values(history) == {2: 1.0}


def test_history_before_a_number(finished: Finished) -> None:
    trials = [finished(c, float(n)) for n, c in enumerate(CELLS[:5])]
    trials[1] = finished(CELLS[1], state=TrialState.RUNNING)
    history = read(trials).before(3)
    assert values(history) == {0: 0.0, 2: 2.0}
    assert history.taken == {CELLS[n].key for n in (0, 1, 2)}


def test_completion_times(finished: Finished) -> None:
    start = datetime(2024, 1, 1)
    trials = []
    for number, hours in enumerate((5, 1, 3)):
        trial = finished(CELLS[number], float(number))
        trial.datetime_start = start
        trial.datetime_complete = start + timedelta(hours=hours)
        trials.append(trial)
    assert [o.completed.hour for o in read(trials).observations] == [5, 1, 3]
