"""Encodings and predictors: who ranks unseen cells best, and who knows how sure to be.

    python -m benchmarks.ablation_predictors --nasbench201 nasbench201.parquet \
        --nasbench101 nasbench101.parquet --workers 2
    python -m benchmarks.ablation_predictors --benchmarks cifar10 --predictors mlp,gp --repeats 3

1. For each benchmark and repeat, random cells of different functions are drawn: those to learn
   from, and 1,000 others. Smaller training sets are the first cells of larger ones.
2. Every predictor learns from every encoding that fits it; `own` is the one it would choose.
3. Of its predictions of the other cells are written: Spearman's rank correlation, the expected
   calibration error (ECE) of its intervals, the share in its 95 % intervals, the negative log
   likelihood, and the CPU seconds of a fit on one thread, the median of the repeats. Preparing
   for a space with a first fit (a VAE learns from random cells then) is timed by itself.

Predictors learn the log regret, as they do in a search; its scale is set by all of the cells, so
that the errors of unseen cells are in the unit of the fit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import tables
from optuna_nas.objectives import NASBench101, NASBench201
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.surrogates import Encoding, MLPEnsemble, Predictor
from optuna_nas.surrogates.names import ENCODINGS, PREDICTORS, TARGETS
from optuna_nas.surrogates.validation import LEVELS, calibration

OWN = "own"
UNSEEN = 1000
DATASETS = ("cifar10", "cifar100", "imagenet16")
CONTESTANTS: dict[str, Callable[[], Predictor]] = {
    **PREDICTORS,
    "mlp-published": MLPEnsemble.published,
    "mlp-whole": partial(MLPEnsemble, partial_members=0),
    "mlp-unstretched": partial(MLPEnsemble, spread=1.0),
    "mlp-one-network": partial(MLPEnsemble, num_members=1),
}


@dataclass(frozen=True)
class Task:
    """What one process does at a time.

    Attributes:
        benchmark: A data set of NAS-Bench-201, or `nasbench101`.
        predictor: A name of :data:`CONTESTANTS`.
        encoding: A name of an encoding, or `own`.
        targets: A name of a transform of the errors.
        cells: Sizes of the training sets.
        repeats: Numbers of the repeats.
    """

    benchmark: str
    predictor: str
    encoding: str
    targets: str
    cells: tuple[int, ...]
    repeats: tuple[int, ...]


def work(task: Task, paths: Mapping[str, Path | None]) -> list[dict[str, Any]]:
    """Fit a predictor to all training sets and measure it.

    Args:
        task: What to do.
        paths: The files of the benchmarks.

    Returns:
        A line for each repeat and size; one without numbers if the predictor does not fit.
    """
    import torch  # here, so that no fit is charged for it

    torch.set_num_threads(1)
    with threadpool_limits(1):
        return list(_measure(task, paths))


def _measure(task: Task, paths: Mapping[str, Path | None]) -> Iterator[dict[str, Any]]:
    benchmark = _benchmark(task.benchmark, paths.get(_file(task.benchmark)))
    space = benchmark.space
    predictor = CONTESTANTS[task.predictor]()
    encoding = predictor.encoding if task.encoding == OWN else ENCODINGS[task.encoding]()
    named = {n: v for n, v in asdict(task).items() if n not in ("cells", "repeats")}
    try:
        predictor.prepare(space, encoding)
        encoding.dimension(space)
    except ValueError as error:
        for repeat in task.repeats:
            for number in task.cells:
                yield {**named, "cells": number, "repeat": repeat, "unfit": str(error)}
        return
    drawn, errors = _cells(benchmark, task.benchmark, task.repeats[0], max(task.cells))
    first = encoding.encode(space, drawn[:10])
    started = time.process_time()
    predictor.prepare(space, encoding)
    predictor.fit(first, errors[:10], np.random.default_rng(0))
    preparing = time.process_time() - started
    prepared = encoding
    for repeat in task.repeats:
        drawn, errors = _cells(benchmark, task.benchmark, repeat, max(task.cells))
        encoded = cache(partial(_encoded, space, tuple(drawn)))
        targets = TARGETS[task.targets](errors)
        for number in task.cells:
            started = time.process_time()
            few = partial(_encoded, space, drawn[:number])
            chosen = encoding.chosen(space, targets[:number], few)
            seconds = time.process_time() - started
            features = encoded(chosen)
            if chosen is not prepared:
                predictor.prepare(space, chosen)
                prepared = chosen
            started = time.process_time()
            rng = np.random.default_rng([repeat, number])
            predictor.fit(features[:number], targets[:number], rng)
            seconds += time.process_time() - started
            members = predictor.predict(features[-UNSEEN:])
            measured = calibration(members, targets[-UNSEEN:])
            yield {
                **named,
                "cells": number,
                "repeat": repeat,
                "spearman": measured.spearman,
                "r2": measured.r2,
                "ece": measured.error,
                "overconfidence": measured.overconfidence,
                "nll": measured.nll,
                "coverage95": measured.observed[LEVELS.index(0.95)],
                "seconds": seconds,
                "preparing": preparing,
            }


def _encoded(space: SearchSpace, cells: Sequence[Architecture], encoding: Encoding) -> np.ndarray:
    return encoding.encode(space, cells)


@cache  # all predictors see the same ones
def _cells(
    benchmark: NASBench201 | NASBench101, name: str, repeat: int, number: int
) -> tuple[list[Architecture], np.ndarray]:
    """Random cells of different functions and their errors, always the same for a repeat."""
    rng = np.random.default_rng([repeat, len(name)])
    drawn: dict[str, Architecture] = {}
    while len(drawn) < number + UNSEEN:
        cell = benchmark.space.random(rng)
        drawn[cell.key] = cell
    cells = list(drawn.values())
    return cells, np.array([benchmark.regret(_value(benchmark, cell)) for cell in cells])


def _value(benchmark: NASBench201 | NASBench101, cell: Architecture) -> float:
    value = benchmark.evaluate(cell.params)
    assert isinstance(value, float)
    return value


@cache
def _benchmark(name: str, path: Path | None) -> NASBench201 | NASBench101:
    return NASBench201(name, path=path) if name in DATASETS else NASBench101(path)


def _file(benchmark: str) -> str:
    return "nasbench201" if benchmark in DATASETS else "nasbench101"


def summary(lines: Sequence[Mapping[str, Any]]) -> list[tables.Row]:
    """Average over the repeats: a row for each benchmark, predictor, encoding and size."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        if "unfit" not in line:
            named = (line["benchmark"], line["predictor"], line["encoding"], line["cells"])
            groups.setdefault(named, []).append(line)
    rows: list[tables.Row] = []
    for (benchmark, predictor, encoding, cells), group in sorted(groups.items()):
        ranks = np.array([line["spearman"] for line in group])
        error = ranks.std(ddof=1) / np.sqrt(len(ranks)) if len(ranks) > 1 else 0.0
        means = {
            name: float(np.mean([line[name] for line in group]))
            for name in ("r2", "ece", "overconfidence", "coverage95", "nll")
        }
        rows.append(
            {
                "benchmark": benchmark,
                "predictor": predictor,
                "encoding": encoding,
                "cells": cells,
                "repeats": len(group),
                "spearman": float(ranks.mean()),
                "standard error": float(error),
                **means,
                "seconds": float(np.median([line["seconds"] for line in group])),
                "preparing": float(np.median([line["preparing"] for line in group])),
            }
        )
    return rows


def short_table(rows: Sequence[tables.Row], cells: Sequence[int], at: int) -> list[tables.Row]:
    """Put the sizes side by side, and the calibration for one of them beside them."""
    groups: dict[tuple[object, ...], dict[object, tables.Row]] = {}
    for row in rows:
        named = (row["benchmark"], row["predictor"], row["encoding"])
        groups.setdefault(named, {})[row["cells"]] = row
    short: list[tables.Row] = []
    for (benchmark, predictor, encoding), sizes in groups.items():
        if at not in sizes:
            continue
        ranks = {
            f"rank @{n}": f"{sizes[n]['spearman']:.3f} ± {sizes[n]['standard error']:.3f}"
            if n in sizes
            else "-"
            for n in cells
        }
        what = {"benchmark": benchmark, "predictor": predictor, "encoding": encoding}
        measured = {
            f"ECE @{at}": f"{sizes[at]['ece']:.3f}",
            f"95 % @{at}": f"{sizes[at]['coverage95']:.0%}",
            f"NLL @{at}": f"{sizes[at]['nll']:.3g}",
            f"seconds @{at}": f"{sizes[at]['seconds']:.3f}",
            "preparing": f"{sizes[at]['preparing']:.2f}",
        }
        short.append({**what, **ranks, **measured})
    return short


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and write the tables."""
    chosen = _options(arguments)
    chosen.runs.mkdir(parents=True, exist_ok=True)
    finished = chosen.runs / "ablation_predictors.jsonl"
    lines = _read(finished)
    there = {tuple(line[name] for name in _KEYS) for line in lines}
    tasks = []
    for benchmark in chosen.benchmarks:
        for predictor in chosen.predictors:
            for encoding in chosen.encodings:
                named = (benchmark, predictor, encoding, chosen.targets)
                repeats = tuple(
                    repeat
                    for repeat in range(chosen.repeats)
                    if any((*named, number, repeat) not in there for number in chosen.cells)
                )
                if repeats:
                    tasks.append(Task(*named, tuple(sorted(chosen.cells)), repeats))
    paths = {"nasbench201": chosen.nasbench201, "nasbench101": chosen.nasbench101}
    for found in _all(tasks, paths, chosen.workers):
        with finished.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in found)
        print(f"{len(found)} fits: " + " ".join(str(found[0][name]) for name in _KEYS[:3]))
    _write(chosen, _read(finished))


_KEYS = ("benchmark", "predictor", "encoding", "targets", "cells", "repeat")


def _write(chosen: argparse.Namespace, lines: Sequence[Mapping[str, Any]]) -> None:
    wanted = {tuple(line[name] for name in _KEYS): line for line in lines}.values()
    rows = summary(
        [
            line
            for line in wanted
            if line["benchmark"] in chosen.benchmarks
            and line["predictor"] in chosen.predictors
            and line["encoding"] in chosen.encodings
            and line["targets"] == chosen.targets
            and line["repeat"] < chosen.repeats
        ]
    )
    tables.write_csv(chosen.results, "ablation_predictors", rows)
    middle = sorted(chosen.cells)[len(chosen.cells) // 2]
    short = tables.markdown(short_table(rows, sorted(chosen.cells), middle))
    tables.write_text(
        chosen.results,
        "ablation_predictors",
        f"## Encodings and predictors\n\nRank correlation on {UNSEEN} unseen cells after so many "
        f"training cells (@), mean of {chosen.repeats} repeats with its standard error; expected "
        "calibration error, the share of cells in the 95 % intervals, negative log likelihood, "
        f"and CPU seconds of a fit, and of preparing with a first fit.\n\n{short}",
    )


def _all(
    tasks: Sequence[Task], paths: Mapping[str, Path | None], workers: int
) -> Iterator[list[dict[str, Any]]]:
    if workers == 1:
        yield from (work(task, paths) for task in tasks)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # for torch in the processes
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, task, paths) for task in tasks]):
            yield future.result()


def _read(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = tables.parser(__doc__, resumable=True)
    names, numbers = tables.several(str), tables.several(int)
    known = {
        "benchmarks": [*DATASETS, "nasbench101"],
        "predictors": list(CONTESTANTS),
        "encodings": [OWN, *ENCODINGS],
    }
    for name, values in known.items():
        parser.add_argument(f"--{name}", type=names, default=values, help=", ".join(values))
    parser.add_argument("--targets", choices=sorted(TARGETS), default="log_regret")
    parser.add_argument("--cells", type=numbers, default=[20, 50, 100, 200])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--nasbench201", type=Path, default=None, help="parquet file")
    parser.add_argument("--nasbench101", type=Path, default=None, help="parquet file")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    chosen = parser.parse_args(arguments)
    for name, values in known.items():
        if unknown := sorted(set(getattr(chosen, name)) - set(values)):
            parser.error(f"--{name} has {unknown}; allowed are {values}")
    return chosen


if __name__ == "__main__":
    main()
