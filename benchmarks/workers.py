"""Several workers on one database: duplicate proposals, and what working side by side costs.

    python -m benchmarks.workers --path nasbench201.parquet --datasets cifar10,imagenet16

For each data set of NAS-Bench-201, each number of workers and each seed there is one study in an
SQLite file. The workers are processes that start together; an evaluation looks the cell up and
then sleeps for about `--sleep` seconds, half to one and a half times as long, so that workers are
in the middle of trials while others propose. They stop after `--trials` evaluations; those that
were under way end a few later and are left out of the regret. One worker is the sequential search.

*Duplicates* are trials whose cell computes the same function as that of an earlier trial. The
ratio of regrets is that of the means over the seeds, to the sequential search.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
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
from optuna_nas.compare.samplers import contestants
from optuna_nas.objectives import NASBench201
from optuna_nas.storages import open_storage

_WAIT_SECONDS = 600


@dataclass(frozen=True)
class Search:
    """One study.

    Attributes:
        dataset: Of NAS-Bench-201.
        sampler: As `optuna-nas compare` names it.
        workers: How many processes.
        trials: How many evaluations.
        sleep: Seconds that an evaluation takes on average.
        seed: All workers share it.
    """

    dataset: str
    sampler: str
    workers: int
    trials: int
    sleep: float
    seed: int


class SlowBenchmark:
    """A benchmark that takes its time.

    Args:
        benchmark: Where values are looked up.
        search: How long an evaluation takes.
    """

    def __init__(self, benchmark: NASBench201, search: Search) -> None:
        self._benchmark, self._search = benchmark, search

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Look the cell up, then sleep."""
        value = self._benchmark(trial)
        rng = np.random.default_rng([self._search.seed, trial.number])
        time.sleep(self._search.sleep * (0.5 + rng.random()))
        return value


def work(
    searches: Sequence[Search],
    addresses: Sequence[str],
    path: str | None,
    barrier: Barrier,
    finished: Path | None,
) -> None:
    """Be one of the workers of some studies; all workers begin and end each of them together.

    Args:
        searches: What is searched.
        addresses: The database of each.
        path: The file of NAS-Bench-201.
        barrier: Where the workers wait for each other.
        finished: The file to which one of the workers adds what came of a study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with threadpool_limits(1):
        for search, address in zip(searches, addresses, strict=True):
            benchmark = _benchmark(search.dataset, path)
            [contestant] = contestants([search.sampler])
            study = optuna.load_study(
                study_name="cells",
                storage=open_storage(address),
                sampler=contestant.make(seed=search.seed),
            )
            enough = MaxTrialsCallback(search.trials, states=(TrialState.COMPLETE,))
            barrier.wait(_WAIT_SECONDS)
            study.optimize(SlowBenchmark(benchmark, search), callbacks=[enough])
            barrier.wait(_WAIT_SECONDS)
            if finished is not None:
                with finished.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(outcome(search, study, benchmark)) + "\n")


def outcome(search: Search, study: optuna.Study, benchmark: NASBench201) -> dict[str, Any]:
    """Return the regret after each evaluation of a finished study, and its duplicates."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    keys = {benchmark.space.architecture(t.params).key for t in trials}
    trials.sort(key=lambda t: t.datetime_complete or datetime.max)
    best = np.maximum.accumulate([t.values[0] for t in trials[: search.trials]])
    start = min(t.datetime_start for t in trials if t.datetime_start)
    end = max(t.datetime_complete for t in trials if t.datetime_complete)
    return {
        **asdict(search),
        "evaluations": len(trials),
        "duplicates": len(trials) - len(keys),
        "seconds": (end - start).total_seconds(),
        "regrets": [round(benchmark.regret(float(value)), 6) for value in best],
    }


def run(searches: Sequence[Search], path: str | None, finished: Path) -> None:
    """Do searches with equal numbers of workers, one after the other.

    Args:
        searches: The searches.
        path: The file of NAS-Bench-201.
        finished: The file to which what came of them is added.

    Raises:
        RuntimeError: A worker failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        addresses = [f"sqlite:///{folder}/{i}.db" for i in range(len(searches))]
        for address in addresses:
            optuna.create_study(
                study_name="cells", storage=open_storage(address), direction="maximize"
            )
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(searches[0].workers)
        processes = [
            context.Process(
                target=work, args=(searches, addresses, path, barrier, None if i else finished)
            )
            for i in range(searches[0].workers)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise RuntimeError(f"Workers ended with {[p.exitcode for p in processes]}.")


def summary(found: Sequence[dict[str, Any]], budgets: Sequence[int]) -> list[tables.Row]:
    """Return a row for each data set, sampler and number of workers."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for one in found:
        groups.setdefault((one["dataset"], one["sampler"], one["workers"]), []).append(one)
    rows: list[tables.Row] = []
    for (dataset, sampler, workers), group in sorted(groups.items()):
        row: dict[str, object] = {
            "data set": dataset,
            "sampler": sampler,
            "workers": workers,
            "seeds": len(group),
            "evaluations": sum(one["evaluations"] for one in group),
            "duplicates": sum(one["duplicates"] for one in group),
            "seconds": float(np.mean([one["seconds"] for one in group])),
        }
        alone = groups.get((dataset, sampler, 1), [])
        for budget in budgets:
            regrets = _regrets(group, budget)
            error = regrets.std(ddof=1) / np.sqrt(len(regrets)) if len(regrets) > 1 else 0.0
            row[f"regret @{budget}"] = f"{regrets.mean():.3f} ± {error:.3f}"
            sequential = float(_regrets(alone, budget).mean()) if alone else 0.0
            row[f"ratio @{budget}"] = float(regrets.mean()) / sequential if sequential else "-"
            row[f"found @{budget}"] = float((regrets <= 0).mean())
        rows.append(row)
    return rows


def _regrets(group: Sequence[dict[str, Any]], budget: int) -> np.ndarray:
    return np.array([one["regrets"][budget - 1] for one in group])


@cache
def _benchmark(dataset: str, path: str | None) -> NASBench201:
    return NASBench201(dataset, path=path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the table."""
    parser = tables.parser(__doc__, resumable=True)
    names, numbers = tables.several(str), tables.several(int)
    parser.add_argument("--datasets", type=names, default=["cifar10", "cifar100", "imagenet16"])
    parser.add_argument("--samplers", type=names, default=["bananas"])
    parser.add_argument("--workers", type=numbers, default=[1, 2, 4, 8], help="to compare")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--budgets", type=numbers, default=None, help="a third, two thirds, all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sleep", type=float, default=0.3, help="seconds of an evaluation")
    parser.add_argument("--path", default=None, help="parquet file of NAS-Bench-201")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    chosen.runs.mkdir(parents=True, exist_ok=True)
    finished = chosen.runs / "workers.jsonl"
    wanted = [
        Search(dataset, sampler, workers, chosen.trials, chosen.sleep, seed)
        for workers in chosen.workers
        for dataset in chosen.datasets
        for sampler in chosen.samplers
        for seed in range(chosen.seeds)
    ]
    there = [search for search, _ in _finished(finished)]
    for workers in chosen.workers:
        missing = [s for s in wanted if s.workers == workers and s not in there]
        if missing:
            run(missing, chosen.path, finished)
    found = [outcome for search, outcome in _finished(finished) if search in wanted]
    budgets = chosen.budgets or sorted({-(-chosen.trials * part // 3) for part in (1, 2, 3)})
    tables.save(
        chosen.results,
        "workers",
        "Workers on one SQLite database",
        f"NAS-Bench-201, an evaluation takes {chosen.sleep:g} s on average; mean regret with its "
        "standard error, its ratio to that of one worker, and the share of seeds that found the "
        "best cell.",
        summary(found, budgets),
    )


def _finished(path: Path) -> list[tuple[Search, dict[str, Any]]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    outcomes = [json.loads(line) for line in lines]
    return [(Search(**{n: o[n] for n in Search.__annotations__}), o) for o in outcomes]


if __name__ == "__main__":
    main()
