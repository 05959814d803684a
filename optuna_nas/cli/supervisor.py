"""Starting, watching and stopping the worker processes of a search on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import optuna_nas
from optuna_nas.artifacts import open_artifacts
from optuna_nas.cli.interrupts import INTERRUPTED_CODE
from optuna_nas.cli.worker import finished_trials
from optuna_nas.storages import GRACE_SECONDS
from optuna_nas.trials import Unclaimed, recover_interrupted, sweep

if TYPE_CHECKING:
    from collections.abc import Generator

    import optuna

    from optuna_nas.cli.config import SearchConfig

_POLL_SECONDS = 0.5
_STOP_SECONDS = 20
_REFUSED = 2
"""Exit code of every command for what the user has to mend."""


class WorkerError(RuntimeError):
    """Workers keep ending before their work is done."""


class Supervisor:
    """Keeps workers running until the study has enough finished trials.

    Args:
        study: The study.
        config: The settings of the search.
        workers: How many processes.
        target: Finished trials to reach.
        deadline: Time of the monotonic clock, which is the machine's, after which no trial starts.
        max_restarts: How many workers that died are replaced without a trial finishing in
            between; three for each worker if None.
    """

    def __init__(
        self,
        study: optuna.Study,
        config: SearchConfig,
        *,
        workers: int,
        target: int,
        deadline: float,
        max_restarts: int | None = None,
    ) -> None:
        self._study = study
        self._config = config
        self._workers = workers
        self._target = target
        self._deadline = deadline
        self._max_restarts = 3 * workers if max_restarts is None else max_restarts
        self._restarts_left = self._max_restarts
        self._finished = 0
        self._unclaimed = Unclaimed(GRACE_SECONDS)
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._logs = config.local_folder / "logs"

    def run(self) -> Generator[None, None, None]:
        """Work until done, yielding about twice a second so that progress can be shown.

        Raises:
            WorkerError: Workers died more often than they may be replaced, or one was refused.
        """
        self._recover()
        self._sweep()
        self._finished = finished_trials(self._study)
        try:
            for index in range(min(self._workers, self._missing())):
                self._start(index)
            while self._processes:
                yield
                time.sleep(_POLL_SECONDS)
                self._replace_ended()
        finally:
            self._stop()
            error = sys.exc_info()[1]
            if isinstance(error, WorkerError) or not isinstance(error, Exception):
                # Who did not answer in time was asked as politely as the others. After any other
                # error the storage may be away, or the study deleted.
                recover_interrupted(self._study, polite=True)
                self._sweep()

    def _sweep(self) -> None:
        sweep(self._study, open_artifacts(self._config.artifacts))

    def _missing(self) -> int:
        return max(self._target - finished_trials(self._study), 0)

    def _recover(self) -> None:
        recover_interrupted(self._study, unclaimed=self._unclaimed)

    def _replace_ended(self) -> None:
        ended = {i: p.returncode for i, p in self._processes.items() if p.poll() is not None}
        for index in ended:
            del self._processes[index]
        if not any(ended.values()) and (self._processes or not ended):
            return
        # A dead worker's trial is queued again; the last one out looks for leftovers as well.
        self._recover()
        if time.monotonic() >= self._deadline or not self._missing():
            return
        if (finished := finished_trials(self._study)) > self._finished:
            self._finished, self._restarts_left = finished, self._max_restarts
        for index, code in ended.items():
            if code == _REFUSED:  # it would be again
                raise WorkerError(self._tail(index, lines=1).removeprefix("Error: "))
            polite = code == INTERRUPTED_CODE  # somebody has asked this one to stop
            if self._restarts_left == 0 and not polite:
                raise WorkerError(
                    f"A worker ended with exit code {code} and no restarts are left. The end of "
                    f"{self._log(index)}:\n{self._tail(index)}"
                )
            self._restarts_left -= not polite
            self._start(index)

    def _start(self, index: int) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        command = [*program(), "worker", f"--index={index}"]
        command += [f"--threads={threads_per_worker(self._workers)}", f"--target={self._target}"]
        command += [f"--deadline={self._deadline}", f"--parent={os.getpid()}"]
        with self._log(index).open("a") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True
            )
        self._processes[index] = process
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as pipe:  # a dead worker is seen later
            pipe.write(self._config.to_json())

    def _stop(self) -> None:
        """Let running trials queue themselves again; who does not answer is killed."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        give_up = time.monotonic() + _STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(give_up - time.monotonic(), 0.1))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                process.wait()
        self._processes.clear()

    def _log(self, index: int) -> Path:
        return self._logs / f"worker-{index}.log"

    def _tail(self, index: int, lines: int = 15) -> str:
        return "\n".join(self._log(index).read_text(errors="replace").splitlines()[-lines:])


def program() -> list[str]:
    """This program as a process that takes no module of the working folder for one of a library.

    Python looks there first: a `datasets.py` of the user's would be imported as the library of
    that name. Where this package is comes last, in case it is not installed.
    """
    place = str(Path(optuna_nas.__file__).parents[1])
    code = (
        f"import sys; sys.path[:] = [*filter(None, sys.path), {place!r}]; "
        "from optuna_nas.cli import main; main()"
    )
    return [sys.executable, "-c", code]


def threads_per_worker(workers: int) -> int:
    """The share of this machine's cores of each worker, at least one.

    If `OMP_NUM_THREADS` is set, it is the most.
    """
    available = len(psutil.Process().cpu_affinity()) if hasattr(os, "sched_getaffinity") else None
    share = max((available or os.cpu_count() or 1) // workers, 1)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(limit)) if limit.isdecimal() and int(limit) else share
