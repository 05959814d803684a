"""What a trial costs on PostgreSQL, SQLite and a journal file, ours against Optuna's TPE.

    python -m benchmarks.databases --path nasbench201.parquet

For each storage, each sampler and each seed there is one study of NAS-Bench-201. Evaluations are
looked up and take no time, so that what is measured is the search itself: sampling, the storage,
and workers that wait for each other. The workers are processes that start together and stop after
`--trials` finished trials; those that were under way then finish as well.

*Duplicates* are trials whose cell computes the same function as that of an earlier one; *errors*
are trials that failed or never ended, and workers that ended with an error. The *ratio* is that of
the milliseconds of a trial to those of TPE on the same storage.

PostgreSQL is a server of one's own (`benchmarks/servers/`) with durable commits, on the machine
of the workers.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from threadpoolctl import threadpool_limits

from benchmarks import tables
from benchmarks.servers import PostgreSQLServer
from optuna_nas.compare.samplers import contestants
from optuna_nas.objectives import NASBench201
from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.spaces import NASBench201Space
from optuna_nas.storages import open_storage

WORKERS = {"postgresql": 8, "sqlite": 4, "journal": 4}
"""The storages, and how many workers each has unless `--workers` says otherwise."""

_WAIT_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """One study.

    Attributes:
        storage: A name of `WORKERS`.
        sampler: As `optuna-nas compare` names it.
        workers: How many processes.
        trials: How many finished trials.
        seed: Ours share it; others have one of their own in each worker.
    """

    storage: str
    sampler: str
    workers: int
    trials: int
    seed: int


def work(run: Run, address: str, index: int, path: str | None, barrier: Barrier) -> None:
    """Be one of the workers of a study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with threadpool_limits(1):
        benchmark = _benchmark(path)
        [contestant] = contestants([run.sampler])
        sampler = contestant.make(seed=run.seed)
        if not isinstance(sampler, ArchitectureSampler):
            sampler = contestant.make(seed=1000 * run.seed + index)
        study = optuna.load_study(
            study_name="cells", storage=open_storage(address), sampler=sampler
        )
        enough = MaxTrialsCallback(run.trials, states=(TrialState.COMPLETE,))
        barrier.wait(_WAIT_SECONDS)
        study.optimize(benchmark, callbacks=[enough])


def measure(run: Run, address: str, path: str | None) -> dict[str, Any]:
    """Run the workers of a study and return what came of it."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(run.workers + 1)
    processes = [
        context.Process(target=work, args=(run, address, index, path, barrier))
        for index in range(run.workers)
    ]
    for process in processes:
        process.start()
    barrier.wait(_WAIT_SECONDS)
    started = time.perf_counter()
    for process in processes:
        process.join()
    return outcome(
        run,
        address,
        time.perf_counter() - started,
        sum(process.exitcode != 0 for process in processes),
    )


def outcome(run: Run, address: str, seconds: float, crashed: int) -> dict[str, Any]:
    """Return the numbers of a finished study.

    Args:
        run: The study.
        address: Its storage.
        seconds: How long its workers took together.
        crashed: How many of them ended with an error.
    """
    study = optuna.load_study(study_name="cells", storage=open_storage(address))
    trials = study.get_trials(deepcopy=False)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    space = NASBench201Space()
    return {
        **asdict(run),
        "finished": len(complete),
        "errors": len(trials) - len(complete) + crashed,
        "duplicates": len(complete) - len({space.architecture(t.params).key for t in complete}),
        "seconds": round(seconds, 3),
        "ms per trial": round(1000 * seconds / len(complete), 2),
        "best": max(t.values[0] for t in complete),
    }


@contextmanager
def addresses() -> Iterator[dict[str, str]]:
    """Empty storages, by name; gone in the end."""
    with tempfile.TemporaryDirectory() as folder, PostgreSQLServer() as server:
        yield {
            "postgresql": server.database("studies"),
            "sqlite": f"sqlite:///{folder}/studies.db",
            "journal": f"{folder}/studies.journal",
        }


def do(run: Run, path: str | None) -> dict[str, Any]:
    """Make an empty storage and measure one study in it."""
    with addresses() as storages:
        address = storages[run.storage]
        optuna.create_study(
            study_name="cells", storage=open_storage(address), direction="maximize"
        )
        return measure(run, address, path)


def summary(found: Sequence[dict[str, Any]]) -> list[tables.Row]:
    """Return a row for each storage, number of workers and sampler."""
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for one in found:
        groups.setdefault((one["storage"], one["workers"], one["sampler"]), []).append(one)
    rows: list[tables.Row] = []
    for (storage, workers, sampler), group in sorted(groups.items()):
        cost = _mean(group)
        tpe = groups.get((storage, workers, "tpe"))
        rows.append(
            {
                "storage": storage,
                "workers": workers,
                "sampler": sampler,
                "studies": len(group),
                "finished": " ".join(str(one["finished"]) for one in group),
                "duplicates": sum(one["duplicates"] for one in group),
                "errors": sum(one["errors"] for one in group),
                "ms per trial": cost,
                "ratio to TPE": cost / _mean(tpe) if tpe else "-",
                "best": float(np.mean([one["best"] for one in group])),
            }
        )
    return rows


def _mean(group: Sequence[dict[str, Any]]) -> float:
    return float(np.mean([one["ms per trial"] for one in group]))


@cache
def _benchmark(path: str | None) -> NASBench201:
    return NASBench201("cifar10", path=path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the table."""
    parser = tables.parser(__doc__, resumable=True)
    names = tables.several(str)
    parser.add_argument("--storages", type=names, default=list(WORKERS))
    parser.add_argument("--samplers", type=names, default=["tpe", "bananas"])
    parser.add_argument("--workers", type=int, default=None, help="of each storage")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--path", default=None, help="parquet file of NAS-Bench-201")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    chosen.runs.mkdir(parents=True, exist_ok=True)
    finished = chosen.runs / "databases.jsonl"
    wanted = [
        Run(storage, sampler, chosen.workers or WORKERS[storage], chosen.trials, seed)
        for seed in range(chosen.seeds)
        for storage in chosen.storages
        for sampler in chosen.samplers
    ]
    there = [run for run, _ in _finished(finished)]
    for run in wanted:
        if run not in there:
            found = do(run, chosen.path)
            with finished.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(found, flush=True)
    tables.save(
        chosen.results,
        "databases",
        "What a trial costs on a database",
        f"NAS-Bench-201 (CIFAR-10), {chosen.trials} trials that take no time themselves; wall "
        "time of all workers together, divided by the finished trials. Duplicates are cells that "
        "compute the same function as an earlier one; errors are trials that did not complete and "
        "workers that crashed.",
        summary([found for run, found in _finished(finished) if run in wanted]),
    )


def _finished(path: Path) -> list[tuple[Run, dict[str, Any]]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    outcomes = [json.loads(line) for line in lines]
    return [(Run(**{n: o[n] for n in Run.__annotations__}), o) for o in outcomes]


if __name__ == "__main__":
    main()
