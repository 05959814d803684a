"""Does reinforcement learning beat random search? REINFORCE, PPO and Q-learning on tables.

    python -m benchmarks.reinforcement --workers 2
    python -m benchmarks.reinforcement --benchmarks nasbench101 --nasbench101 FILE

Beside them run random search, regularised evolution and BANANAS, all with their defaults. A run
has 500 trainings; with 30 seeds of each sampler it takes a quarter of an hour of CPU for each
benchmark. Written are, for each benchmark, `reinforcement_<benchmark>.csv` and `.md` in the folder
of results. The published settings of the policies learn from thousands of trainings and are random
within 500, so they are not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import tables
from optuna_nas.compare import compare, markdown, write_csv
from optuna_nas.compare.runs import Benchmark
from optuna_nas.objectives import NASBench101, NASBench201

SAMPLERS = {
    "random": "random",
    "evolution": "evolution",
    "bananas": "bananas",
    "reinforce, factorized": "reinforce:policy=factorized",
    "reinforce, lstm": "reinforce",
    "ppo, lstm": "reinforce:update=ppo",
    "q-learning": "q-learning",
}
BENCHMARKS: dict[str, Callable[[Path | None, Path | None], Benchmark]] = {
    **{
        f"nasbench201_{data}": partial(lambda data, path, _: NASBench201(data, path=path), data)
        for data in ("cifar10", "cifar100", "imagenet16")
    },
    "nasbench101": lambda _, path: NASBench101(path),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the tables."""
    parser = tables.parser(__doc__, resumable=True)
    names = tables.several(str)
    chosen_of = {"--benchmarks": list(BENCHMARKS), "--samplers": list(SAMPLERS)}
    for option, choices in chosen_of.items():
        parser.add_argument(option, type=names, default=choices)
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--budgets", type=tables.several(int), default=[50, 100, 150, 500])
    parser.add_argument("--nasbench201", type=Path, help="file of NAS-Bench-201")
    parser.add_argument("--nasbench101", type=Path, help="file of NAS-Bench-101")
    chosen = parser.parse_args(arguments)
    for option, choices in chosen_of.items():
        given = getattr(chosen, option.removeprefix("--"))
        if unknown := sorted(set(given) - set(choices)):
            parser.error(f"{option} has {unknown}; allowed are {sorted(choices)}")
    budgets = [budget for budget in chosen.budgets if budget <= chosen.trials] or [chosen.trials]
    for name in chosen.benchmarks:
        found = compare(
            BENCHMARKS[name](chosen.nasbench201, chosen.nasbench101),
            {label: SAMPLERS[label] for label in chosen.samplers},
            n_trials=chosen.trials,
            seeds=chosen.seeds,
            workers=chosen.workers,
            results=chosen.runs / f"reinforcement_{name}.jsonl",
        )
        chosen.results.mkdir(parents=True, exist_ok=True)
        write_csv(found, chosen.results / f"reinforcement_{name}.csv", budgets)
        tables.write_text(chosen.results, f"reinforcement_{name}", markdown(found, budgets))


if __name__ == "__main__":
    main()
