"""What failed or diverged is seen: hardly proposed again, and learnt as bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_nas.samplers import ArchitectureSampler, BananasSampler
from optuna_nas.samplers._history import History
from optuna_nas.samplers._reading import HistoryReader
from optuna_nas.spaces import CellSpace, NASBench201Space

Make = Callable[..., ArchitectureSampler]
Finished = Callable[..., FrozenTrial]
Direction = Literal["minimize", "maximize"]
SPACE = NASBench201Space()
SMALL = CellSpace(3, ("a", "b", "none"))
CELLS = [
    SMALL.parse(f"|{x}~0|+|{y}~0|{z}~1|") for x, y, z in ("aaa", "bbb", "aba", "bab", "aab", "bba")
]


def read(trials: list[FrozenTrial], directions: tuple[Direction, ...] = ("minimize",)) -> History:
    study = optuna.create_study(directions=list(directions))
    study.add_trials(trials)
    return HistoryReader(SMALL).read(study, study.trials, except_number=-1)


def values(history: History) -> dict[int, tuple[float, ...]]:
    return {o.number: o.values for o in history.observations}


def tempting(trial: optuna.Trial) -> float:
    """The more 3x3 convolutions the better, but three of them and more cannot be trained."""
    operations = list(SPACE.suggest(trial).params.values())
    convolutions = operations.count("nor_conv_3x3")
    if convolutions >= 3:
        return float("nan")
    return convolutions - 0.3 * operations.count("none")


def test_what_failed_is_hardly_proposed_again(make: Make) -> None:
    study = optuna.create_study(direction="maximize", sampler=make())
    study.optimize(tempting, n_trials=40)
    failed = [SPACE.architecture(t.params).key for t in study.trials if t.value is None]
    assert failed and max(Counter(failed).values()) <= 2
    assert len(failed) <= 25
    assert study.trials[-1].value is not None or study.trials[-2].value is not None


def test_all_of_a_small_space_is_tried_before_a_failure_is_repeated_often(make: Make) -> None:
    def objective(trial: optuna.Trial) -> float:
        cell = SMALL.suggest(trial)
        return float("nan") if "a" in str(cell) else float(len(cell.key))

    study = optuna.create_study(sampler=make())
    study.optimize(objective, n_trials=40)
    rng_free = {SMALL.architecture(t.params).key for t in study.trials}
    counted = Counter(SMALL.architecture(t.params).key for t in study.trials[:20])
    assert max(counted.values()) <= 2
    assert len(rng_free) > 12  # of the 15 functions or so


def test_a_failure_may_be_the_machines(finished: Finished) -> None:
    fail = finished(CELLS[1], state=TrialState.FAIL)
    good = finished(CELLS[0], 1.0)
    assert read([good, fail]).taken == {CELLS[0].key}
    assert read([good, fail, fail]).taken == {CELLS[0].key, CELLS[1].key}
    # Tried again with success, it is worth what it then had.
    history = read([good, fail, finished(CELLS[1], 0.5)])
    assert values(history) == {0: (1.0,), 2: (0.5,)}


def test_what_was_interrupted_and_queued_again_has_not_failed(finished: Finished) -> None:
    trials = [
        finished(CELLS[0], 1.0),
        finished(CELLS[1], state=TrialState.FAIL),
        finished(CELLS[1], state=TrialState.FAIL, system_attrs={"retry_history": [1]}),
        finished(CELLS[1], state=TrialState.WAITING, system_attrs={"retry_history": [1, 2]}),
        finished(CELLS[2], state=TrialState.FAIL, system_attrs={"retry_history": "?"}),
    ]
    trials[3].system_attrs["fixed_params"] = CELLS[1].params
    assert values(read(trials)) == {0: (1.0,), 4: (2.0,)}
    assert read(trials[:3]).taken == {CELLS[0].key}  # the second was its own failure, once


@pytest.mark.parametrize(
    "told",
    [
        {"user_attrs": {"diverged": "the loss is nan"}, "intermediate_values": {0: 5.0, 1: 0.1}},
        {"intermediate_values": {0: 5.0, 1: float("nan")}},
        {"intermediate_values": {0: 5.0, 1: float("inf")}},
        {},
    ],
)
def test_what_diverged_is_bad(finished: Finished, told: dict[str, Any]) -> None:
    trials = [
        finished(CELLS[0], 9.0, intermediate_values={0: 10.0, 1: 9.5}),
        finished(CELLS[1], 1.0, intermediate_values={0: 6.0, 1: 2.0}),
        finished(CELLS[2], state=TrialState.PRUNED, **told),
    ]
    assert values(read(trials))[2] == (9.0,)


def test_nothing_pruned_is_better_than_half_of_what_completed(finished: Finished) -> None:
    """Somebody knew why, though the last report was the best of all."""
    trials = [finished(CELLS[n], float(n), intermediate_values={0: n + 1.0}) for n in range(5)]
    trials.append(finished(CELLS[5], state=TrialState.PRUNED, intermediate_values={0: -7.0}))
    assert values(read(trials))[5] == (2.0,)


def test_with_several_objectives_what_broke_is_bad_in_all(finished: Finished) -> None:
    def done(cell: Any, *found: float) -> FrozenTrial:
        return optuna.trial.create_trial(
            values=found, params=cell.params, distributions=SMALL.distributions
        )

    trials = [done(CELLS[0], 1.0, 7.0), done(CELLS[1], 2.0, 9.0)]
    trials += [finished(CELLS[2], state=s) for s in (TrialState.FAIL, TrialState.PRUNED)]
    history = read(trials, ("minimize", "maximize"))
    assert values(history)[2] == values(history)[3] == (2.0, -7.0)
    assert [o.number for o in history.ranked][:2] == [0, 1]


@pytest.mark.parametrize("kind", ["nan", "silent", "late"])
def test_regions_that_diverge_are_left(kind: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        operations = list(SPACE.suggest(trial).params.values())
        convolutions = operations.count("nor_conv_3x3")
        value = 0.5 + 0.1 * convolutions - 0.03 * operations.count("none")
        for epoch in range(3):
            if convolutions >= 3 and (kind != "late" or epoch == 2):
                if kind == "nan":
                    trial.report(float("nan"), epoch)
                raise optuna.TrialPruned
            trial.report(value * (epoch + 1) / 3, epoch)
        return value

    study = optuna.create_study(
        direction="maximize",
        sampler=BananasSampler(seed=1),
        pruner=optuna.pruners.NopPruner(),
    )
    study.optimize(objective, n_trials=50)
    assert sum(t.state == TrialState.PRUNED for t in study.trials) <= 20
