"""A search whose workers and supervisors are killed and asked to stop, and what is left of it.

    python -m benchmarks.kill_drill --storages sqlite,postgresql,journal

1. `optuna-nas search` trains small cells on handwritten digits. It is struck as often by SIGKILL
   as by SIGINT or SIGTERM: a quarter of the times its supervisor, a quarter a worker, both at a
   random moment. The other half strikes a worker at a chosen place: while data are read, in a
   batch of the first epochs, while a file or a statement is written, or between the end of a
   training and its tell. A supervisor that ended is started again by the same command.
2. Meanwhile something is written to the storage again and again, to see for how long it is locked;
   and after a supervisor's end its workers are watched.
3. In the end everything is checked: each value is computed again, without interruptions, and has
   to be equal to the last bit; nothing may be left RUNNING, lost or half done, and no file of a
   training that is over.

Steps of a training are made longer by waiting, so that most strikes meet one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import psutil

from benchmarks import tables
from benchmarks.chaos import STUDY, TRAINING, Findings, check
from benchmarks.servers import PostgreSQLServer
from optuna_nas.cli.studies import load_study

STORAGES = ("sqlite", "postgresql", "journal")
_STEP_SECONDS = 0.08
_CALM_SECONDS = 3.0
_PLACED_SECONDS = 120.0
_ORPHAN_SECONDS = 30.0
_PROBE_SECONDS = 0.5

_HOOKS = Path(__file__).with_name("kill_drill_hooks.py")


def places(storage: str) -> dict[str, tuple[str, int]]:
    """Where a worker can be struck, and by which of the first calls."""
    statement = "sqlalchemy.engine.default:DefaultDialect.do_execute"
    if storage == "journal":
        statement = "optuna_nas.storages.file_journal:_append"
    return {
        "data": ("optuna_nas.data.sources:_digits", 1),
        "batch": ("torch.optim.sgd:SGD.step", 12),
        "file": ("os:fsync", 20),
        "statement": (statement, 60),
        "tell": ("optuna.study._optimize:_tell_with_warning", 1),
    }


@dataclass(frozen=True)
class Strike:
    """A signal to a process of the search.

    Attributes:
        number: The signal.
        place: A name of `places`, at which a worker is struck; or, at a random moment, `worker`
            or `supervisor`.
    """

    number: signal.Signals
    place: str


def strikes(count: int, storage: str, rng: np.random.Generator) -> list[Strike]:
    """As many SIGKILLs as polite signals, `count` of each, at all places, in random order."""
    named = [*places(storage)]
    aims = [
        named[i // 2 % len(named)] if i % 2 else ("worker", "supervisor")[i // 2 % 2]
        for i in range(count)
    ]
    polite = (signal.SIGINT, signal.SIGTERM)
    planned = [Strike(signal.SIGKILL, aim) for aim in aims]
    planned += [Strike(polite[i % 2], aim) for i, aim in enumerate(aims)]
    return [planned[i] for i in rng.permutation(len(planned))]


@dataclass
class Course:
    """What was done to a search, and how it ended.

    Attributes:
        code: The exit code of the last search.
        kills: How many processes were struck by SIGKILL.
        stops: How many were asked to stop.
        searches: How often the search was started.
        orphan: The longest that a worker outlived its supervisor, in seconds.
        locked: The longest that writing one value to the storage took, in seconds.
        seconds: How long everything took.
    """

    code: int = 0
    kills: int = 0
    stops: int = 0
    searches: int = 0
    orphan: float = 0.0
    locked: float = 0.0
    seconds: float = 0.0


class Drill:
    """A search in a folder, and its strikes.

    Args:
        folder: Where it runs and keeps its files.
        storage: One of `STORAGES`.
        address: The address of an empty one; of a file, absolute.
        trainings: How many trainings it has to finish.
        workers: How many workers it has.
        seed: Seed of the strikes.
    """

    def __init__(
        self,
        folder: Path,
        storage: str,
        address: str,
        *,
        trainings: int,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        self._folder = folder
        self._places = places(storage)
        self._address = address
        self._trainings = trainings
        self._workers = workers
        self._rng = np.random.default_rng(seed)
        self.course = Course()
        (folder / "sitecustomize.py").write_text(_HOOKS.read_text())

    @property
    def output(self) -> str:
        """What the searches wrote."""
        return (self._folder / "output.txt").read_text()

    def run(self, planned: Sequence[Strike], patience: float = 3600) -> None:
        """Strike as planned, as long as there is something to do, and let the search end.

        Raises:
            TimeoutError: It takes longer than `patience`, in seconds.
        """
        started, left = time.monotonic(), list(planned)
        process = self._start()
        try:
            with self._probe():
                while process.poll() != 0:
                    if time.monotonic() - started > patience:
                        raise TimeoutError(f"still not done: {self.output[-2000:]}")
                    if process.poll() is not None:
                        process = self._start()
                    if left and not self._strike(process, left[-1]):
                        left.insert(0, left.pop())  # nobody was there; another time
                    elif left:
                        left.pop()
                    time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.course.code = process.returncode
        self.course.seconds = time.monotonic() - started

    def left_over(self) -> list[str]:
        """The files that nobody needs any more."""
        files = self._folder / "files"
        found = [*(files / "checkpoints").rglob("*.*"), *files.glob(".publish-*")]
        found += [
            *files.rglob("*.tmp"),
            *self._folder.glob("*.lock"),
            *self._folder.glob("*-journal"),
        ]
        return sorted({str(path.relative_to(self._folder)) for path in found})

    def _start(self) -> subprocess.Popen[bytes]:
        self.course.searches += 1
        command = [sys.executable, "-m", "optuna_nas", "search", "--study", STUDY]
        command += [*TRAINING.split(), "--trials", str(self._trainings)]
        command += ["--workers", str(self._workers), "--artifacts", "files"]
        path = [str(self._folder), str(Path(__file__).parents[1])]
        path += filter(None, [os.environ.get("PYTHONPATH")])
        environment = {
            "OPTUNA_NAS_STORAGE": self._address,
            "PYTHONPATH": os.pathsep.join(path),
            "OMP_NUM_THREADS": "1",
            "DRILL_STEP_SECONDS": str(_STEP_SECONDS),
        }
        with (self._folder / "output.txt").open("a") as output:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )

    def _strike(self, process: subprocess.Popen[bytes], strike: Strike) -> bool:
        if strike.place in self._places:
            done = self._strike_at_place(process, strike)
        else:
            time.sleep(self._rng.uniform(0, 2 * _CALM_SECONDS))
            done = self._strike_now(process, strike)
        if done:
            self._count(strike)
        return done

    def _count(self, strike: Strike) -> None:
        if strike.number == signal.SIGKILL:
            self.course.kills += 1
        else:
            self.course.stops += 1

    def _strike_at_place(self, process: subprocess.Popen[bytes], strike: Strike) -> bool:
        """Leave an order for a worker; for the next one, if others are past that place."""
        name, calls = self._places[strike.place]
        order = self._folder / ("order-at-start" if strike.place == "data" else "order")
        struck = len(list(self._folder.glob("struck-*")))
        draft = self._folder / "draft"
        draft.write_text(json.dumps([name, strike.number, int(self._rng.integers(calls)) + 1]))
        draft.rename(order)
        if strike.place == "data" and self._strike_now(process, Strike(strike.number, "worker")):
            self._count(strike)
        end = time.monotonic() + _PLACED_SECONDS
        while time.monotonic() < end and process.poll() is None:
            if len(list(self._folder.glob("struck-*"))) > struck:
                return True
            time.sleep(0.05)
        order.unlink(missing_ok=True)
        return False

    def _strike_now(self, process: subprocess.Popen[bytes], strike: Strike) -> bool:
        workers = _children(process)
        if strike.place == "supervisor":
            process.send_signal(strike.number)
            process.wait()
            ended = time.monotonic()
            psutil.wait_procs(workers, timeout=_ORPHAN_SECONDS)
            if any(worker.is_running() for worker in workers):
                ended -= _ORPHAN_SECONDS
            self.course.orphan = max(self.course.orphan, time.monotonic() - ended)
            return True
        if not workers:
            return False
        chosen = workers[self._rng.integers(len(workers))]
        with suppress(psutil.NoSuchProcess):
            chosen.send_signal(strike.number)
        return True

    @contextmanager
    def _probe(self) -> Iterator[None]:
        """Measure how long it takes to write something, as long as the `with` block."""
        over = threading.Event()

        def write() -> None:
            study = None
            while not over.wait(_PROBE_SECONDS):
                started = time.monotonic()
                try:
                    study = study or load_study(STUDY, self._address)
                    started = time.monotonic()
                    study.set_user_attr("probe", started)
                except ValueError:  # not made yet
                    continue
                self.course.locked = max(self.course.locked, time.monotonic() - started)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


@contextmanager
def made(storage: str, folder: Path) -> Iterator[str]:
    """The address of an empty storage in a folder, or on a server of its own."""
    if storage == "sqlite":
        yield f"sqlite:///{folder / 'studies.db'}"
    elif storage == "journal":
        yield str(folder / "studies.journal")
    else:
        with PostgreSQLServer() as server:
            yield server.database("studies")


def row(storage: str, drill: Drill, findings: Findings, left: Sequence[str]) -> tables.Row:
    """One row of the table."""
    course = drill.course
    return {
        "storage": storage,
        "finished": findings.finished,
        "SIGKILL": course.kills,
        "SIGINT, SIGTERM": course.stops,
        "searches started": course.searches,
        "went on from a checkpoint": findings.resumed,
        "given up": findings.given_up,
        "wrong values": len(findings.wrong),
        "began anew": len(findings.from_zero),
        "lost": len(findings.lost),
        "left RUNNING": len(findings.running),
        "files left over": len(left),
        "longest orphan, s": round(course.orphan, 1),
        "longest write, s": round(course.locked, 1),
        "seconds": round(course.seconds),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the drill on each storage, check what is left, and write the table."""
    parser = tables.parser(__doc__)
    parser.add_argument("--storages", type=tables.several(str), default=list(STORAGES))
    parser.add_argument("--trainings", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strikes", type=int, default=40, help="of each kind")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A shell lets what it starts in the background ignore Ctrl-C, and so would the searches.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows, wrong = [], []
    for storage in chosen.storages:
        with tempfile.TemporaryDirectory() as name, made(storage, Path(name)) as address:
            drill = Drill(
                Path(name), storage, address, trainings=chosen.trainings, workers=chosen.workers
            )
            drill.run(strikes(chosen.strikes, storage, np.random.default_rng(0)))
            findings, left = check(address), drill.left_over()
        rows.append(row(storage, drill, findings, left))
        if not findings.clean or left:
            wrong.append(f"{storage}: {findings}, {left}")
    tables.save(
        chosen.results,
        "kill_drill",
        "Workers and supervisors killed and asked to stop",
        f"{chosen.trainings} trainings of ten epochs on handwritten digits, {chosen.workers} "
        "workers. Every finished value was computed again from its seed. A training is given up "
        "when its worker was killed four times.",
        rows,
    )
    if wrong:
        raise SystemExit("Something is wrong: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
