"""Running a comparison: every sampler with every seed, one run per core at a time.

1. Runs that the results file already has are left out.
2. The others run in processes of their own, each with one thread, so that no run takes another's
   time; all samplers of a seed before the next seed.
3. A finished run is written down at once. Interrupted or failed, the comparison goes on from there
   when it is called again.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from optuna_nas._checks import checked_integer
from optuna_nas.compare.comparison import Comparison
from optuna_nas.compare.results import ResultsFile, header
from optuna_nas.compare.runs import Benchmark, Run, run
from optuna_nas.compare.samplers import Contestant, SamplerFactory, contestants

Progress = Callable[[int, int], None]
"""Called with the finished and the wanted runs."""

_Task = tuple[Contestant, int]


class RunError(RuntimeError):
    """A run failed, or the process that it ran in."""


def compare(
    benchmark: Benchmark,
    samplers: Sequence[str] | Mapping[str, str | SamplerFactory],
    *,
    n_trials: int = 150,
    seeds: int | Sequence[int] = 30,
    workers: int | None = None,
    results: str | Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run samplers on a benchmark, many times each.

    With several workers the calling script needs the usual `if __name__ == "__main__":`, and
    functions that make samplers must be importable; with `workers=1` all runs in this process.

    Args:
        benchmark: An objective with a known optimum, such as
            :class:`optuna_nas.objectives.NASBench201`.
        samplers: Names such as `"tpe"`, `"bananas:batch_size=5"` or `"module:class"`, or by label
            such names and functions of `seed` (:mod:`optuna_nas.compare.samplers`).
        n_trials: The trainings of a run.
        seeds: How many seeds, from 0, or the seeds.
        workers: Processes; None is one for each core.
        results: A JSON-lines file that keeps finished runs; None keeps none.
        progress: Called with the number of finished and of wanted runs.

    Returns:
        The comparison of these samplers and seeds.

    Raises:
        ValueError: An argument is wrong, the benchmark has several objectives, or `results` is of
            other settings.
        TypeError: A sampler cannot be sent to another process.
        RunError: A run failed.

    Example:
        >>> from optuna_nas.compare import compare, markdown
        >>> from optuna_nas.objectives import NASBench201
        >>> found = compare(NASBench201("cifar10"), ["bananas", "tpe"])  # doctest: +SKIP
        >>> print(markdown(found))  # doctest: +SKIP
    """
    n_trials = checked_integer("n_trials", n_trials)
    workers = _cores() if workers is None else checked_integer("workers", workers)
    numbers = _seeds(seeds)
    if len(benchmark.directions) != 1:
        raise ValueError(
            f"`benchmark` has the objectives {benchmark.metric_names}; samplers are compared on "
            "one."
        )
    rivals = contestants(samplers)
    file = ResultsFile(results, header(benchmark, n_trials))
    file.check(rivals)
    if workers > 1:
        _check_portable(rivals)
    labels = [rival.label for rival in rivals]
    with file.writing():
        tasks = [(r, s) for s in numbers for r in rivals if not file.finished(r.label, s)]
        total = len(numbers) * len(rivals)
        done = total - len(tasks)
        tell = progress or (lambda done, total: None)
        tell(done, total)
        runs = _finished_runs(benchmark, tasks, n_trials, min(workers, len(tasks)))
        with closing(runs):  # so that an interrupted comparison leaves no processes
            for finished in runs:
                file.add(finished)
                done += 1
                tell(done, total)
    wanted = [r for r in file.runs if r.sampler in labels and r.seed in numbers]
    return Comparison(file.settings, wanted, labels)


def _finished_runs(
    benchmark: Benchmark, tasks: Sequence[_Task], n_trials: int, workers: int
) -> Generator[Run]:
    if workers <= 1:
        for contestant, seed in tasks:
            with threadpool_limits(1), _named_failure(contestant, seed):
                finished = run(benchmark, contestant, seed, n_trials)
            yield finished
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        # Forked children would inherit locks of threads that they do not have.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(benchmark, os.getpid()),
    )
    try:
        futures: dict[Future[Run], _Task] = {
            pool.submit(_work, contestant, seed, n_trials): (contestant, seed)
            for contestant, seed in tasks
        }
        for future in as_completed(futures):
            with _named_failure(*futures[future]):
                finished = future.result()
            yield finished
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise RunError(
                "A process of the comparison ended: it was killed, perhaps for lack of memory, or "
                'the script that compares has no `if __name__ == "__main__":`. Finished runs are '
                "kept."
            ) from error
        raise
    pool.shutdown()


@contextmanager
def _named_failure(contestant: Contestant, seed: int) -> Iterator[None]:
    """Say which run it was that failed."""
    try:
        yield
    except BrokenProcessPool:
        raise
    except Exception as error:
        raise RunError(
            f"The run of {contestant.label!r} with seed {seed} failed: {type(error).__name__}: "
            f"{error}. Finished runs are kept."
        ) from error


_benchmark: Benchmark | None = None
"""What a worker process compares on, sent once."""


def _start_worker(benchmark: Benchmark, parent: int) -> None:
    global _benchmark
    _benchmark = benchmark
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    # For the libraries that are loaded already, and for those that come later.
    threadpool_limits(1)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    threading.Thread(target=_stop_with, args=(parent,), daemon=True).start()


def _stop_with(parent: int) -> None:
    """End this process as soon as its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(contestant: Contestant, seed: int, n_trials: int) -> Run:
    assert _benchmark is not None
    return run(_benchmark, contestant, seed, n_trials)


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, int):
        return list(range(checked_integer("seeds", seeds)))
    numbers = [checked_integer("seeds", seed, 0) for seed in seeds]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"`seeds` is {seeds!r}; allowed are one or more different integers.")
    return numbers


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_portable(rivals: Sequence[Contestant]) -> None:
    for rival in rivals:
        try:
            pickle.dumps(rival)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"`samplers[{rival.label!r}]` cannot be sent to another process ({error}); use a "
                "class, a functools.partial, a function of a module, or workers=1."
            ) from error
