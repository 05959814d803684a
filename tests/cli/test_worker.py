"""What a worker does, called in this process."""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
import typer
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_nas import storages
from optuna_nas._interrupts import check_interrupted
from optuna_nas.cli import worker as module
from optuna_nas.cli.config import SearchConfig
from optuna_nas.cli.same_data import DATA_ATTRIBUTE
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.errors import UserError
from optuna_nas.storages import open_storage
from optuna_nas.trials.recovery import WORKER_ATTR, worker_identity

Objective = Callable[[Trial], float]


def objective(trial: Trial) -> float:
    """A training that takes no time."""
    return trial.suggest_float("x", 0, 1)


class Loaded:
    """An objective with data."""

    def __init__(self, function: Objective) -> None:
        self._function = function
        self.data = self
        self.digest = "0"

    def __call__(self, trial: Trial) -> float:
        return self._function(trial)

    def describe(self) -> dict[str, str]:
        return {"digest": self.digest}


@pytest.fixture
def config(tmp_path: Path) -> SearchConfig:
    return SearchConfig(
        study="worked",
        storage=f"sqlite:///{tmp_path / 'study.db'}",
        artifacts=str(tmp_path / "files"),
        objective="cell-cnn",
        sampler="random",
        pruner="none",
        seed=0,
        options={"epochs": 1},
    )


@pytest.fixture
def study(config: SearchConfig) -> optuna.Study:
    storage = open_storage(config.storage)
    return optuna.create_study(study_name="worked", storage=storage, direction="maximize")


@pytest.fixture
def work(
    config: SearchConfig, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Run a worker with this objective, and put back what it changes in its process."""
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(module, "_stop_with", lambda parent: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threads, verbosity = torch.get_num_threads(), optuna.logging.get_verbosity()

    def run(target: int, function: Objective = objective, **options: Any) -> None:
        changes = {k: options.pop(k) for k in list(options) if k in config.__dict__}
        settings = replace(config, **changes)
        made = Loaded(function)
        monkeypatch.setattr(SearchConfig, "make_objective", lambda self: made)
        monkeypatch.setattr(sys, "stdin", io.StringIO(settings.to_json()))
        arguments = {"index": 0, "threads": 1, "deadline": 1e12, "parent": 1}
        module.worker(target=target, **arguments | options)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(verbosity)


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def running_elsewhere(study: optuna.Study) -> int:
    """Add a RUNNING trial of another machine; the number of its record."""
    study.add_trial(
        optuna.create_trial(
            state=TrialState.RUNNING,
            system_attrs={WORKER_ATTR: {**worker_identity(0), "host": "elsewhere"}},
        )
    )
    return study.trials[-1]._trial_id


@pytest.mark.parametrize(
    ("before", "target", "after"), [(0, 3, 3), (2, 3, 3), (3, 3, 3), (4, 3, 4)]
)
def test_it_runs_exactly_the_trials_that_are_missing(
    work: Callable[..., None], study: optuna.Study, before: int, target: int, after: int
) -> None:
    study.optimize(objective, n_trials=before)
    work(target)
    assert states(study) == ["COMPLETE"] * after


def test_pruned_trials_count_and_failed_ones_do_not(
    work: Callable[..., None], study: optuna.Study
) -> None:
    def varied(trial: Trial) -> float:
        if trial.number == 0:
            raise optuna.TrialPruned
        if trial.number in (1, 2, 4, 5):
            raise RuntimeError("bad luck")
        return 0.5

    work(4, varied)
    fail = "FAIL"
    assert states(study) == ["PRUNED", fail, fail, "COMPLETE", fail, fail, "COMPLETE", "COMPLETE"]


def test_three_failures_in_a_row_are_enough(
    work: Callable[..., None], study: optuna.Study
) -> None:
    def broken(trial: Trial) -> float:
        if trial.number == 1:
            return 0.5
        raise RuntimeError("bad luck")

    with pytest.raises(SystemExit, match="3 trials in a row failed; the worker gives up"):
        work(9, broken)
    assert states(study) == ["FAIL", "COMPLETE", "FAIL", "FAIL", "FAIL"]


def test_no_trial_starts_after_the_deadline(
    work: Callable[..., None], study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep)
    monkeypatch.setattr(module, "time", clock)

    def slow(trial: Trial) -> float:
        now[0] += 10
        return 0.5

    work(9, slow, deadline=1015)
    assert states(study) == ["COMPLETE", "COMPLETE"]  # what has started is finished
    work(9, slow, deadline=1015)
    assert len(study.trials) == 2


@pytest.mark.parametrize(("value", "expected"), [(0.5, []), (None, ["COMPLETE"])])
def test_it_waits_for_the_last_trial_of_another_machine(
    work: Callable[..., None], study: optuna.Study, value: float | None, expected: list[str]
) -> None:
    study.optimize(objective, n_trials=1)
    other = running_elsewhere(study)
    seen = []

    def finish() -> None:
        time.sleep(0.4)
        seen.extend(states(study))
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study._storage.set_trial_state_values(other, state, None if value is None else [value])

    thread = threading.Thread(target=finish)
    thread.start()
    work(2)
    thread.join()
    assert seen == ["COMPLETE", "RUNNING"]  # no trial too many meanwhile
    assert states(study)[2:] == expected


def test_waiting_ends_with_the_deadline(work: Callable[..., None], study: optuna.Study) -> None:
    running_elsewhere(study)
    work(1, deadline=time.monotonic() + 0.3)
    assert states(study) == ["RUNNING"]


def test_while_it_waits_it_takes_up_what_nobody_trains(
    work: Callable[..., None], study: optuna.Study
) -> None:
    study.add_trial(
        optuna.create_trial(
            state=TrialState.RUNNING,
            params={"x": 0.25},
            distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
            system_attrs={WORKER_ATTR: {**worker_identity(0), "pid": 2**22 + 1}},
        )
    )
    work(1)
    assert states(study) == ["FAIL", "COMPLETE"]
    assert study.trials[1].params == {"x": 0.25}


def test_while_it_waits_it_takes_up_what_nobody_claimed(
    work: Callable[..., None], study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "GRACE_SECONDS", 0.5)
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
    study.add_trial(
        optuna.create_trial(state=TrialState.RUNNING, system_attrs={"fixed_params": {"x": 0.75}})
    )
    work(2)
    # The first one had not begun, so there is nothing to repeat.
    assert states(study) == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[2].params == {"x": 0.75}


@pytest.mark.parametrize("failing", [False, True])
def test_a_trial_that_another_worker_took_over_is_no_error(
    work: Callable[..., None],
    study: optuna.Study,
    caplog: pytest.LogCaptureFixture,
    failing: bool,
) -> None:
    def overtaken(trial: Trial) -> float:
        if trial.number == 0:  # the machine slept, and the others took it for dead
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            if failing:
                trial.report(0.5, 0)
        return 0.5

    work(2, overtaken)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "Trial 0 was ended by another worker" in caplog.text


def test_an_error_of_the_storage_is_one(
    work: Callable[..., None], study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: Any, **keywords: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(optuna.Study, "ask", failing)
    with pytest.raises(RuntimeError, match="the disk is full"):
        work(1)


def test_several_workers_overshoot_by_less_than_their_number(
    work: Callable[..., None], study: optuna.Study, config: SearchConfig
) -> None:
    together = threading.Barrier(3)

    def racing(trial: Trial) -> float:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)  # all are under way at once
        return 0.5

    def other() -> None:
        mine = optuna.load_study(study_name="worked", storage=open_storage(config.storage))
        while module.finished_trials(mine) < 7:
            if module._has_room(mine, 7):
                mine.optimize(racing, n_trials=1)
            else:
                time.sleep(0.02)

    threads = [threading.Thread(target=other) for _ in range(2)]
    for thread in threads:
        thread.start()
    work(7, racing)
    for thread in threads:
        thread.join()
    assert 7 <= len(study.trials) <= 7 + 2
    assert set(states(study)) == {"COMPLETE"}


def test_queued_trials_come_first(work: Callable[..., None], study: optuna.Study) -> None:
    study.enqueue_trial({"x": 0.125})
    work(2)
    assert study.trials[0].params == {"x": 0.125}
    assert states(study) == ["COMPLETE", "COMPLETE"]


def test_a_trial_says_who_runs_it_before_it_is_sampled(
    work: Callable[..., None], study: optuna.Study
) -> None:
    seen = []

    class Watching(optuna.samplers.RandomSampler):
        def sample_independent(
            self, study: optuna.Study, trial: FrozenTrial, *arguments: Any
        ) -> Any:
            stored = study._storage.get_trial(trial._trial_id).system_attrs
            seen.append(stored.get(WORKER_ATTR))
            return super().sample_independent(study, trial, *arguments)

    def sampling(trial: Trial) -> float:
        trial.study.sampler = Watching()
        return objective(trial)

    work(1, sampling)
    assert seen == [worker_identity(0)]


def test_foreign_samplers_do_not_start_over_when_a_search_goes_on(
    work: Callable[..., None], study: optuna.Study
) -> None:
    work(3)
    work(6)
    values = [trial.params["x"] for trial in study.trials]
    assert len(set(values)) == 6


@pytest.mark.parametrize("between_batches", [False, True])
def test_an_interrupt_ends_it(
    work: Callable[..., None], study: optuna.Study, between_batches: bool
) -> None:
    def interrupted(trial: Trial) -> float:
        x = objective(trial)
        if trial.number == 1:
            signal.raise_signal(signal.SIGINT)
            if between_batches:
                check_interrupted()
        return x

    with pytest.raises(typer.Exit) as exit_:
        work(5, interrupted)
    assert exit_.value.exit_code == 130
    if not between_batches:  # what was finished is told
        assert states(study) == ["COMPLETE", "COMPLETE"]
        return
    assert states(study) == ["COMPLETE", "FAIL", "WAITING"]
    assert study.trials[2].params == study.trials[1].params
    check_interrupted()  # for those who work in this process after it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_disturb_what_the_first_one_began(
    work: Callable[..., None], study: optuna.Study, number: signal.Signals
) -> None:
    ended = []

    def interrupted(trial: Trial) -> float:
        try:
            signal.raise_signal(number)
            check_interrupted()
            return 0.5
        finally:
            signal.raise_signal(signal.SIGINT)  # of the supervisor, after that of the terminal
            signal.raise_signal(signal.SIGTERM)
            ended.append(trial.number)

    with pytest.raises(typer.Exit):
        work(5, interrupted)
    assert ended == [0]
    assert states(study) == ["FAIL"]


def test_an_interrupt_in_a_destructor_is_not_lost(
    work: Callable[..., None], study: optuna.Study
) -> None:
    class Collected:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)  # Python drops what is raised in here

    def interrupted(trial: Trial) -> float:
        Collected()
        while True:
            check_interrupted()

    with pytest.raises(typer.Exit) as exit_:
        work(5, interrupted)
    assert exit_.value.exit_code == 130
    assert states(study) == ["FAIL"]


def test_it_is_interrupted_when_its_parent_is_gone() -> None:
    with pytest.raises(KeyboardInterrupt):
        module._stop_with(parent=0)  # no process is this one's parent
        time.sleep(10)


def test_it_uses_the_threads_it_is_given(work: Callable[..., None], study: optuna.Study) -> None:
    counts = []

    def counting(trial: Trial) -> float:
        counts.append(torch.get_num_threads())
        return 0.5

    work(1, counting, threads=3)
    assert counts == [3]


def test_it_does_not_train_for_other_settings_or_on_other_data(
    config: SearchConfig, study: optuna.Study, work: Callable[..., None]
) -> None:
    study.set_user_attr(DATA_ATTRIBUTE, {"digest": "1"})
    with pytest.raises(UserError, match="data of the study 'worked' have changed"):
        work(1)
    other = replace(config, seed=config.seed + 1)
    settings = {"command": "optuna-nas search", "config": other.to_dict()}
    study.set_user_attr(CONFIG_ATTRIBUTE, settings)
    with pytest.raises(UserError, match="seed was 1 and is 0"):
        work(1)
    assert study.trials == []
