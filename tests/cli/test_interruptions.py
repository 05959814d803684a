"""A search of its own process, interrupted in every way; the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState

Outcome = tuple[int, str, str]
Load = Callable[..., optuna.Study]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter"),
]
EPOCHS = 30
PATIENCE_SECONDS = 120
"""No wait takes long on a machine of its own; a crowded one stands still for many seconds."""
REPOSITORY = Path(__file__).parents[2]


SLOW_CELLS = """
import time
from functools import partial
from pathlib import Path
from torch import nn
from optuna_nas.networks import register_operation
from optuna_nas.spaces import CellSpace

class SlowConv(nn.Module):
    def __init__(self, channels_in, channels_out, stride, kernel_size):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size, padding=kernel_size // 2)

    def forward(self, x):
        a_trial_is_finished = Path("nas-artifacts/weights").exists()
        if self.training and a_trial_is_finished and not Path("fast").exists():
            time.sleep(0.1)
        return self.conv(x)

register_operation("slow_1x1")(partial(SlowConv, kernel_size=1))
register_operation("slow_3x3")(partial(SlowConv, kernel_size=3))
space = CellSpace(2, ["slow_1x1", "slow_3x3"])
"""
"""After the first trial an epoch takes more than a second, until there is a file `fast`."""


class Search:
    """A search in a process group of its own, as one that a terminal starts."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        with (folder / "output.txt").open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "optuna_nas", *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, self.output
            time.sleep(0.05)

    def wait_until_alive_and(self, condition: Callable[[], bool]) -> None:
        self.wait_for(lambda: self.process.poll() is not None or condition())
        assert self.process.poll() is None, self.output

    def kill_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)


@pytest.fixture
def arguments(tiny: list[str], tmp_path: Path) -> list[str]:
    (tmp_path / "slow_cells.py").write_text(SLOW_CELLS)
    options = ["--space=slow_cells:space", "--trials=2", "--pruner=none", "--sampler=random"]
    return ["search", *tiny, f"--epochs={EPOCHS}", *options]


@pytest.fixture
def search(tmp_path: Path, arguments: list[str], load: Load) -> Iterator[Search]:
    """A search whose first trial is finished, and whose second one is a few epochs old."""
    started = Search(tmp_path, arguments)

    def trials() -> list[FrozenTrial]:
        weights = tmp_path / "nas-artifacts" / "weights"  # there is a whole database by then
        return load(tmp_path).trials if weights.exists() else []

    try:
        started.wait_until_alive_and(
            lambda: len(trials()) == 2 and (trials()[1].last_step or 0) >= 3
        )
        yield started
    finally:
        if started.process.poll() is None:
            started.kill_group(signal.SIGKILL)
            started.process.wait()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may wait long for its foster parent to see it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def go_on(
    call_in: Callable[..., Outcome], folder: Path, arguments: list[str], load: Load
) -> tuple[FrozenTrial, FrozenTrial, FrozenTrial]:
    """Run the same command to its end; the finished, the interrupted and the resumed trial."""
    before = load(folder).trials
    (folder / "fast").touch()
    code, out, err = call_in(folder, *arguments)
    assert (code, err) == (0, "")
    assert out.startswith("Study nas goes on: 1 trials are finished.\n")
    study = load(folder)
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE"]
    first, interrupted, resumed = study.trials
    assert first == before[0]  # nothing that was finished is lost, or done again
    assert resumed.params == interrupted.params
    assert resumed.user_attrs["resumed_from_epoch"] >= 2
    assert list(resumed.intermediate_values) == list(range(EPOCHS))
    for epoch, value in interrupted.intermediate_values.items():
        assert resumed.intermediate_values[epoch] == value
    return first, interrupted, resumed


def test_ctrl_c(
    search: Search, arguments: list[str], call_in: Callable[..., Outcome], load: Load
) -> None:
    workers = search.workers
    search.kill_group(signal.SIGINT)  # a terminal tells all, and the supervisor its workers again
    assert search.process.wait(PATIENCE_SECONDS) == 130
    assert not any(map(is_alive, workers))
    assert "Stopped. The same command goes on where it stopped." in search.output
    assert "Traceback" not in search.output
    assert "best trial" in search.output  # the first one is finished
    study = load(search.folder)
    assert states(study) == ["COMPLETE", "FAIL", "WAITING"]
    go_on(call_in, search.folder, arguments, load)


def test_sigterm_as_schedulers_send_it(
    search: Search, arguments: list[str], call_in: Callable[..., Outcome], load: Load
) -> None:
    workers = search.workers
    search.process.send_signal(signal.SIGTERM)
    assert search.process.wait(PATIENCE_SECONDS) == 130
    assert not any(map(is_alive, workers))
    assert "Stopped. The same command goes on where it stopped." in search.output
    assert "Traceback" not in search.output
    assert states(load(search.folder)) == ["COMPLETE", "FAIL", "WAITING"]
    go_on(call_in, search.folder, arguments, load)


def test_ctrl_c_twice(
    search: Search, arguments: list[str], call_in: Callable[..., Outcome], load: Load
) -> None:
    workers = search.workers
    search.kill_group(signal.SIGINT)
    time.sleep(0.2)
    if search.process.poll() is None:
        search.kill_group(signal.SIGINT)
    assert search.process.wait(PATIENCE_SECONDS) in (1, 130)
    assert not any(map(is_alive, workers))
    assert "Traceback" not in search.output
    go_on(call_in, search.folder, arguments, load)


def test_a_killed_supervisor_takes_its_workers_along(
    search: Search, arguments: list[str], call_in: Callable[..., Outcome], load: Load
) -> None:
    workers = search.workers
    assert len(workers) == 1
    search.process.kill()
    search.process.wait()
    search.wait_for(lambda: not any(map(is_alive, workers)))
    assert states(load(search.folder)) == ["COMPLETE", "FAIL", "WAITING"]
    go_on(call_in, search.folder, arguments, load)


def test_a_power_cut(
    search: Search, arguments: list[str], call_in: Callable[..., Outcome], load: Load
) -> None:
    search.kill_group(signal.SIGKILL)
    search.process.wait()
    study = load(search.folder)
    assert states(study) == ["COMPLETE", "RUNNING"]
    best, interrupted, _ = go_on(call_in, search.folder, arguments, load)
    assert best.state == TrialState.COMPLETE
    assert interrupted.intermediate_values == study.trials[1].intermediate_values
