"""How long asking takes, how fast the ensemble learns, and whether memory grows.

    python -m benchmarks.speed
    python -m benchmarks.speed --parts ask --samplers bananas,tpe --trials 50,500

One process on one thread; times are CPU time, so that a busy machine does not count.

- *ask*: a study in memory gets so many finished trials of random architectures, their values a
  made-up linear function. Then `study.ask`, the suggestions and `study.tell` are timed. The first
  ask, which reads the whole study, is reported by itself; the others are a multiple of every batch
  size, so that fits are amortised. Optuna's GP gets few asks, since it takes seconds.
- *fit*: the published ensemble (five networks of ten layers of twenty units, 150 epochs) in our
  batched numpy against the same networks trained one after another in torch: the same cells, the
  same number of steps, and the rank correlation of both on 1,000 other cells of NAS-Bench-201.
- *memory*: a study with finished trials is asked again and again. A trial takes memory of its
  study whoever proposes it, so the random sampler is the yardstick.
"""

from __future__ import annotations

import gc
import importlib.util
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import psutil
from optuna.exceptions import ExperimentalWarning
from optuna.trial import create_trial
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from benchmarks import tables
from benchmarks.flat import Mixed
from optuna_nas.compare.samplers import contestants
from optuna_nas.objectives import NASBench201
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace
from optuna_nas.surrogates import MLPEnsemble, OneHotEncoding, PathEncoding, Predictor

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "nasbench201": NASBench201Space,
    "darts": DARTSSpace,
    "flat": lambda: Mixed(0).space,
}
_GREENLET = "with" if importlib.util.find_spec("greenlet") else "without"
_SLOW = {"gp": 2}
"""How many asks of a slow sampler are timed after the first."""


class LinearValues:
    """A made-up value for each architecture: a weight for every choice.

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._encoding = OneHotEncoding()
        self._weights = np.random.default_rng(0).normal(size=self._encoding.dimension(space))

    def __call__(self, architecture: Any) -> float:
        """The value, lower is better."""
        row = self._encoding.encode(self._space, [architecture])[0]
        return float(row @ self._weights)


def study_with(
    space: SearchSpace, trials: int, sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """Return a study in memory with finished trials of different random architectures.

    Args:
        space: The space.
        trials: How many.
        sampler: The sampler of the study.
    """
    rng = np.random.default_rng(trials)
    drawn: dict[str, Any] = {}
    while len(drawn) < trials:
        architecture = space.random(rng)
        drawn[architecture.key] = architecture
    study = optuna.create_study(sampler=sampler)
    value = LinearValues(space)
    study.add_trials(
        [
            create_trial(params=a.params, distributions=space.distributions, value=value(a))
            for a in drawn.values()
        ]
    )
    return study


def timed_asks(space: SearchSpace, study: optuna.Study, asks: int) -> list[float]:
    """Ask and tell, and return the CPU seconds of each ask."""
    value, seconds = LinearValues(space), []
    for _ in range(asks):
        started = time.process_time()
        trial = study.ask()
        architecture = space.suggest(trial)
        spent = time.process_time() - started
        worth = value(architecture)
        started = time.process_time()
        study.tell(trial, worth)
        seconds.append(spent + time.process_time() - started)
    return seconds


def ask_rows(
    spaces: Sequence[str], samplers: Sequence[str], trials: Sequence[int], asks: int
) -> list[tables.Row]:
    """Time the asks of each sampler in each space after each number of trials."""
    rows: list[tables.Row] = []
    for name in spaces:
        space = SPACES[name]()
        for contestant in contestants(samplers):
            for number in trials:
                study = study_with(space, number, contestant.make(seed=0))
                few = _SLOW.get(contestant.label, asks)
                first, *others = timed_asks(space, study, 1 + few)
                rows.append(
                    {
                        "space": name,
                        "sampler": contestant.label,
                        "finished trials": number,
                        "ms per ask": 1e3 * float(np.mean(others)),
                        "first ask, ms": 1e3 * first,
                        "asks": few,
                    }
                )
                print(rows[-1], flush=True)
    return rows


class SequentialTorchEnsemble(Predictor):
    """The published ensemble as it is usually written: a loop over networks in torch."""

    def __init__(self, members: int = 5, hidden: int = 20, layers: int = 10) -> None:
        self.members, self.hidden, self.layers = members, hidden, layers
        self.epochs, self.batch_size = 150, 32

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Train one network after the other."""
        import torch
        from torch import nn

        torch.set_num_threads(1)
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        x = torch.from_numpy(np.asarray(features, np.float32))  # n d
        y = torch.from_numpy(((targets - self._mean) / self._scale).astype(np.float32))  # n
        self._networks = []
        for _ in range(self.members):
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            widths = [x.shape[1]] + [self.hidden] * self.layers
            modules: list[nn.Module] = []
            for inputs, outputs in zip(widths, [*widths[1:], 1], strict=True):
                layer = nn.Linear(inputs, outputs)
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)
                modules += [layer, nn.ReLU()]
            network = nn.Sequential(*modules[:-1])
            optimizer = torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.9, 0.99))
            for _ in range(self.epochs):
                order = torch.randperm(len(x), generator=generator)
                for start in range(0, len(x), self.batch_size):
                    rows = order[start : start + self.batch_size]
                    optimizer.zero_grad()
                    (network(x[rows])[:, 0] - y[rows]).abs().mean().backward()
                    optimizer.step()
            self._networks.append(network)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The prediction of each network, `e x m`."""
        import torch

        x = torch.from_numpy(np.asarray(features, np.float32))
        with torch.no_grad():
            outputs = [network(x)[:, 0].numpy() for network in self._networks]
        return np.stack(outputs).astype(np.float64) * self._scale + self._mean


def fit_rows(benchmark: Any, cells: Sequence[int], repeats: int) -> list[tables.Row]:
    """Time fits of the published ensemble, ours and in torch, and of our default."""
    space, encoding = benchmark.space, PathEncoding()
    ensembles: dict[str, Callable[[], Predictor]] = {
        "published, batched numpy": MLPEnsemble.published,
        "published, torch one by one": SequentialTorchEnsemble,
        "default, batched numpy": MLPEnsemble,
    }
    rows: list[tables.Row] = []
    for make in ensembles.values():  # what is done once only: imports, pools of memory
        make().fit(np.eye(4, dtype=np.float32), np.arange(4.0), np.random.default_rng(0))
    for number in cells:
        seconds: dict[str, list[float]] = {name: [] for name in ensembles}
        ranks: dict[str, list[float]] = {name: [] for name in ensembles}
        for repeat in range(repeats):
            rng = np.random.default_rng([number, repeat])
            drawn: dict[str, Any] = {}
            while len(drawn) < number + 1000:
                architecture = space.random(rng)
                drawn[architecture.key] = architecture
            features = encoding.encode(space, list(drawn.values()))
            values = np.array([-benchmark.evaluate(a.params) for a in drawn.values()])
            for name, make in ensembles.items():
                predictor = make()
                predictor.prepare(space, encoding)
                started = time.process_time()
                predictor.fit(features[:number], values[:number], np.random.default_rng(repeat))
                members = predictor.predict(features[number:])
                seconds[name].append(time.process_time() - started)
                ranks[name].append(spearmanr(members.mean(axis=0), values[number:]).statistic)
        ours = min(seconds["published, batched numpy"])
        for name in ensembles:
            rows.append(
                {
                    "ensemble": name,
                    "cells": number,
                    "seconds": min(seconds[name]),
                    "times ours": min(seconds[name]) / ours,
                    "Spearman": float(np.mean(ranks[name])),
                    "repeats": repeats,
                }
            )
            print(rows[-1], flush=True)
    return rows


def memory_rows(samplers: Sequence[str], asks: int) -> list[tables.Row]:
    """Measure how much memory asks leave behind, of Python objects and of the process."""
    rows: list[tables.Row] = []
    space = NASBench201Space()
    for contestant in contestants(samplers):
        process = psutil.Process()
        study = study_with(space, 200, contestant.make(seed=0))
        timed_asks(space, study, asks // 5)  # caches fill
        gc.collect()
        resident = process.memory_info().rss
        timed_asks(space, study, asks)
        gc.collect()
        resident = process.memory_info().rss - resident

        study = study_with(space, 200, contestant.make(seed=0))
        tracemalloc.start()
        timed_asks(space, study, asks // 5)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        timed_asks(space, study, asks)
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rows.append(
            {
                "sampler": contestant.label,
                "asks": asks,
                "objects, KiB per ask": (after - before) / 1024 / asks,
                "process, KiB per ask": resident / 1024 / asks,
                "peak of objects, MiB": peak / 2**20,
            }
        )
        print(rows[-1], flush=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the tables."""
    parser = tables.parser(__doc__)
    names, numbers = tables.several(str), tables.several(int)
    parser.add_argument("--parts", type=names, default=["ask", "fit", "memory"])
    parser.add_argument("--spaces", type=names, default=list(SPACES))
    parser.add_argument(
        "--samplers", type=names, default=["bananas", "tpe", "gp", "nsgaii", "random"]
    )
    parser.add_argument("--trials", type=numbers, default=[50, 200, 500, 1000])
    parser.add_argument("--asks", type=int, default=20)
    parser.add_argument("--cells", type=numbers, default=[50, 150, 500], help="of the fits")
    parser.add_argument("--repeats", type=int, default=3, help="of the fits")
    parser.add_argument("--dataset", default="cifar10", help="of NAS-Bench-201, for the fits")
    parser.add_argument("--path", default=None, help="parquet file of NAS-Bench-201")
    parser.add_argument("--memory-asks", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ExperimentalWarning)
        if "ask" in chosen.parts:
            tables.save(
                chosen.results,
                "speed_ask",
                "Milliseconds of an ask",
                "CPU time of ask, suggestions and tell in memory, on one thread, amortised over "
                "the asks after the first; the first one reads the whole study. Optuna's GP ran "
                f"{_GREENLET} the package greenlet, with which it is faster.",
                ask_rows(chosen.spaces, chosen.samplers, chosen.trials, chosen.asks),
            )
        if "fit" in chosen.parts:
            tables.save(
                chosen.results,
                "speed_fit",
                "Seconds of a fit",
                f"CPU time on one thread to fit on cells of NAS-Bench-201 ({chosen.dataset}, path "
                "encoding) and to predict 1,000 others; the fastest repeat, and the mean rank "
                "correlation on the others.",
                fit_rows(
                    NASBench201(chosen.dataset, path=chosen.path), chosen.cells, chosen.repeats
                ),
            )
        if "memory" in chosen.parts:
            tables.save(
                chosen.results,
                "speed_memory",
                "Memory that asks leave behind",
                "A study in memory with 200 finished trials of NAS-Bench-201; its trials take "
                "memory whoever proposes them, so random is the yardstick.",
                memory_rows(["random", "bananas"], chosen.memory_asks),
            )


if __name__ == "__main__":
    main()
