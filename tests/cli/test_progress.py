from __future__ import annotations

import io
from typing import Any

import optuna
import pytest
from optuna.trial import Trial, TrialState, create_trial
from rich.console import Console

from optuna_nas.cli import progress as module
from optuna_nas.cli.objectives import RECIPES


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


class Progress(module.Progress):
    """The progress of trainings of so many epochs."""

    def __init__(self, console: Console, study: optuna.Study, target: int, epochs: int) -> None:
        super().__init__(console, study, target, RECIPES["cell-cnn"], {"epochs": epochs})


@pytest.fixture
def console() -> Console:
    """A console that is no terminal, and so narrow that lines would wrap."""
    return Console(file=io.StringIO(), width=40)


def written(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def add(study: optuna.Study, *curve: float, **options: Any) -> None:
    settings: dict[str, Any] = {
        "state": TrialState.COMPLETE,
        "values": curve[-1:],
        "intermediate_values": dict(enumerate(curve)),
    }
    study.add_trial(create_trial(**settings | options))


def test_a_line_for_each_finished_trial(study: optuna.Study, console: Console) -> None:
    add(study, 0.5)  # before this search: not shown
    with Progress(console, study, 9, epochs=3) as progress:
        add(study, 0.2, 0.25, 0.3, user_attrs={"parameters": 12345})
        progress.update()
        progress.update()  # nothing is shown twice
        add(study, 0.1, 0.2, state=TrialState.PRUNED, values=None)
        add(study, 0.7, 0.8, 0.75)
        progress.update()
        add(study, state=TrialState.PRUNED, values=None)
        add(study, state=TrialState.FAIL, values=None)
        add(study, state=TrialState.RUNNING, values=None)
    assert written(console) == [
        "trial    1  complete  accuracy 0.3000  epoch   3/3      12,345 parameters  "
        "best 0.5000 (trial 0)",
        "trial    2  pruned    accuracy 0.2000  epoch   2/3  best 0.7500 (trial 3)",
        "trial    3  complete  accuracy 0.7500  epoch   3/3  best 0.7500 (trial 3)",
        "trial    4  pruned     best 0.7500 (trial 3)",
        "trial    5  fail       best 0.7500 (trial 3)",
    ]


def test_equal_values_leave_the_first_one_best(study: optuna.Study, console: Console) -> None:
    with Progress(console, study, 9, epochs=1):
        add(study, 0.5)
        add(study, 0.5)
    assert all(line.endswith("best 0.5000 (trial 0)") for line in written(console))


def test_the_best_value_is_the_least_if_the_study_minimises(console: Console) -> None:
    study = optuna.create_study(direction="minimize")
    with Progress(console, study, 9, epochs=1):
        add(study, 0.5)
        add(study, 0.25)
        add(study, 0.75)
    assert written(console)[-1].endswith("  best 0.2500 (trial 1)")


def test_of_several_objectives_the_front_is_counted(console: Console) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    with Progress(console, study, 9, epochs=1):
        for values in ((0.5, 10), (0.4, 5), (0.3, 7)):
            add(study, values=values)
    assert written(console)[-1] == "trial    2  complete   2 on the Pareto front"


def test_an_interrupted_trial_is_named_as_such(study: optuna.Study, console: Console) -> None:
    with Progress(console, study, 9, epochs=1):
        add(study, 0.5, state=TrialState.FAIL, values=None)
        add(study, state=TrialState.WAITING, values=None, system_attrs={"retry_history": [0]})
    assert written(console) == ["trial    0  interrupted, goes on"]


def test_the_live_view_of_a_terminal(study: optuna.Study) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with Progress(console, study, 4, epochs=9) as progress:
        trial: Trial = study.ask()
        study.ask()
        trial.report(0.25, 0)
        trial.report(0.5, 1)
        progress.update()
        progress._live.refresh()
    text = "\n".join(written(console))
    assert "trial    0  running   accuracy 0.5000  epoch   2/9" in text
    assert "trial    1  running    epoch   0/9" in text
    assert "0/4" in text


def test_the_time_that_is_left(
    study: optuna.Study, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("optuna_nas.cli.progress.time.time", lambda: now[0])
    add(study, 0.5)  # before this search: it says nothing of the speed
    progress = Progress(console, study, 7, epochs=1)
    assert progress._time_left(1) == progress._time_left(2) == ""
    now[0] += 90
    assert progress._time_left(3) == "about 3:00 left"  # two took 90 seconds, four are missing
    assert progress._time_left(7) == "about 0:00 left"
    assert progress._time_left(8) == "about 0:00 left"
