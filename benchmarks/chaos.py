"""A search whose workers are killed and whose database is restarted, and what is left of it.

    python -m benchmarks.chaos --trainings 200 --workers 4 --restarts 2
    python -m benchmarks.chaos --database redis

1. `optuna-nas search` trains small cells on handwritten digits, with its workers on PostgreSQL,
   MySQL (MariaDB) or Redis.
2. Every few seconds a worker, chosen at random, is killed by SIGKILL; a kill waits until something
   was trained since the last one, so that a slow machine gets somewhere as well.
3. The database is stopped and started again a few times, every second time without a goodbye.
4. The search has to end by itself with all its trainings. Then everything is checked: each
   finished value is computed again, from the seed and the parameters alone, and has to be equal to
   the last bit; no trial may be left RUNNING; no training that had a checkpoint may have begun
   anew.

A training that reported an epoch saves its checkpoint right after, so one that was killed after
epoch `e` has to go on from `e` or, if it was killed in between, from `e - 1`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import torch
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from benchmarks import tables
from benchmarks.servers import KINDS, Server
from optuna_nas.cli.studies import load_study, stored_config
from optuna_nas.storages import MAX_RETRY

STUDY = "chaos"
TRAINING = (
    "--data digits --train-size 400 --validation-size 150 --test-size 60 --device cpu "
    "--epochs 10 --batch-size 32 --channels 4 --cells 1 --pruner none"
)


@dataclass
class Course:
    """What was done to a search, and how it ended.

    Attributes:
        code: The exit code of the search.
        kills: How many workers were killed.
        restarts: How often the database was restarted.
        seconds: How long the search took.
        output: What it wrote.
    """

    code: int
    kills: int
    restarts: int
    seconds: float
    output: str


@dataclass
class Findings:
    """What is left of a search; every list has to be empty.

    Attributes:
        finished: How many trainings finished.
        resumed: How many of them went on from a checkpoint.
        given_up: How many were killed too often.
        running: Numbers of the trials left RUNNING.
        wrong: Numbers of the trials whose value is not that of their seed and parameters.
        from_zero: Numbers of the trials that began anew although there was a checkpoint.
        lost: Numbers of the trials that were interrupted and neither went on nor were given up.
    """

    finished: int
    resumed: int
    given_up: int
    running: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    from_zero: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, wrong or left over."""
        return not (self.running or self.wrong or self.from_zero or self.lost)


def run(
    folder: Path,
    server: Server,
    address: str,
    *,
    trainings: int,
    workers: int,
    restarts: int,
    interval: tuple[float, float],
    seed: int = 0,
    patience: float = 3600,
) -> Course:
    """Run a search and disturb it.

    Args:
        folder: Where it runs and keeps its files.
        server: The server of the database, to be restarted.
        address: The address of an empty database on it.
        trainings: How many trainings it has to finish.
        workers: How many workers it has.
        restarts: How often the database is restarted meanwhile.
        interval: Least and most seconds between two kills.
        seed: Seed of the disturbances.
        patience: Seconds after which the search is stopped, whatever it does.
    """
    rng = np.random.default_rng(seed)
    started = time.monotonic()
    command = [sys.executable, "-m", "optuna_nas", "search", "--study", STUDY, *TRAINING.split()]
    command += ["--trials", str(trainings), "--workers", str(workers), "--artifacts", "files"]
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"OPTUNA_NAS_STORAGE": address, "PYTHONPATH": os.pathsep.join(path)}
    kills = done = seen = 0
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=output,
            stderr=output,
        )
    try:
        while process.poll() is None and time.monotonic() - started < patience:
            _pause(process, rng.uniform(*interval))
            trials = _trials(address)
            reported = sum(len(t.intermediate_values) for t in trials)
            if reported < seen + 3:
                continue
            seen = reported
            finished = sum(t.state == TrialState.COMPLETE for t in trials)
            if done < restarts and finished >= trainings * (done + 1) / (restarts + 1):
                server.restart(pause=2.0, crash=done % 2 == 1)
                done += 1
            elif finished < trainings:
                kills += _kill(process, rng)
    finally:
        _end(process)
    return Course(
        process.returncode,
        kills,
        done,
        time.monotonic() - started,
        (folder / "output.txt").read_text(),
    )


def _pause(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _trials(address: str) -> list[FrozenTrial]:
    try:
        return load_study(STUDY, address).get_trials(deepcopy=False)
    except ValueError:  # not made yet
        return []


def _kill(process: subprocess.Popen[bytes], rng: np.random.Generator) -> int:
    try:
        workers = psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return 0
    if not workers:
        return 0
    workers[rng.integers(len(workers))].kill()
    return 1


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()


def check(address: str) -> Findings:
    """Check all trials of a search.

    Args:
        address: Its database.
    """
    study = load_study(STUDY, address)
    trials = study.get_trials(deepcopy=False)
    followed = {n for t in trials for n in t.system_attrs.get("retry_history", ())}
    failed = [t for t in trials if t.state == TrialState.FAIL and t.number not in followed]
    given_up = [t for t in failed if len(t.system_attrs.get("retry_history", ())) >= MAX_RETRY]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    objective: Any = stored_config(study).make_objective()
    torch.set_num_threads(1)
    return Findings(
        finished=len(complete),
        resumed=sum(t.user_attrs.get("resumed_from_epoch") is not None for t in complete),
        given_up=len(given_up),
        running=[t.number for t in trials if t.state == TrialState.RUNNING],
        wrong=[t.number for t in complete if objective(_fresh(t)) != t.value],
        from_zero=[t.number for t in trials if _began_anew(t, trials)],
        lost=[t.number for t in failed if t not in given_up and t.params],
    )


def _fresh(trial: FrozenTrial) -> FixedTrial:
    """A trial of the same parameters and seed, which knows nothing of its checkpoints."""
    return FixedTrial(trial.params, number=trial.system_attrs.get("failed_trial", trial.number))


def _began_anew(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a trial trained from the start although one before it had saved a checkpoint."""
    before = [trials[n].last_step for n in trial.system_attrs.get("retry_history", ())]
    last = max((step for step in before if step is not None), default=0)
    if last < 1 or not trial.intermediate_values:  # no checkpoint for sure, or killed at once
        return False
    resumed = trial.user_attrs.get("resumed_from_epoch")
    return resumed is None or resumed < last - 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a search, disturb it, check what is left, and write the table."""
    parser = tables.parser(__doc__)
    parser.add_argument("--trainings", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=list(KINDS), default="postgresql")
    parser.add_argument("--restarts", type=int, default=2, help="of the database")
    parser.add_argument("--least", type=float, default=3.0, help="seconds between two kills")
    parser.add_argument("--most", type=float, default=8.0, help="seconds between two kills")
    parser.add_argument("--patience", type=float, default=3600, help="seconds it may take")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, KINDS[chosen.database]() as server:
        address = server.database("studies")
        course = run(
            Path(folder),
            server,
            address,
            trainings=chosen.trainings,
            workers=chosen.workers,
            restarts=chosen.restarts,
            interval=(chosen.least, chosen.most),
            patience=chosen.patience,
        )
        findings = check(address)
    print(course.output[-3000:])
    row: tables.Row = {
        "database": chosen.database,
        "trainings": chosen.trainings,
        "workers": chosen.workers,
        "killed workers": course.kills,
        "database restarts": course.restarts,
        "exit code": course.code,
        "finished": findings.finished,
        "went on from a checkpoint": findings.resumed,
        "given up": findings.given_up,
        "wrong values": len(findings.wrong),
        "began anew": len(findings.from_zero),
        "lost": len(findings.lost),
        "left RUNNING": len(findings.running),
        "seconds": round(course.seconds),
    }
    tables.save(
        chosen.results,
        "chaos",
        "Workers killed, database restarted",
        f"Trainings of ten epochs on handwritten digits, {chosen.workers} workers; "
        f"a worker is killed every {chosen.least:g} to {chosen.most:g} seconds. Every finished "
        "value was computed again from its seed. A training is given up when it was interrupted "
        "four times.",
        [row],
    )
    if course.code or not findings.clean:
        raise SystemExit(f"Something is wrong: {findings}")


if __name__ == "__main__":
    main()
