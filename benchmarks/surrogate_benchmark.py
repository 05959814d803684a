"""Surrogate benchmarks of NAS-Bench-201, beside the table that they were learnt from.

    python -m benchmarks.surrogate_benchmark

1. From a few hundred cells a surrogate is made, with several seeds. Its rank correlation and the
   coverage of its 90 % intervals, as it measures them on what it leaves out, and on cells that it
   has never seen.
2. Samplers search on the surrogate of the first seed and on the table: do they rank alike?
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import kendalltau

from benchmarks import tables
from optuna_nas.compare import Comparison
from optuna_nas.compare import compare as run_comparison
from optuna_nas.objectives import NASBench201, SurrogateBenchmark
from optuna_nas.surrogates.validation import rank_correlation

SAMPLERS = ("bananas", "evolution", "local-search", "tpe", "random")


def held_out(
    table: NASBench201, cells: int, fresh: int, seeds: Sequence[int]
) -> tuple[list[tables.Row], SurrogateBenchmark]:
    """A row for each seed, and the surrogate of the first."""
    rows: list[tables.Row] = []
    made = []
    for seed in seeds:
        benchmark = SurrogateBenchmark.fit(table, cells=cells, seed=seed)
        rng = np.random.default_rng((1, seed))
        known = {architecture.key for architecture in benchmark.architectures}
        drawn = {a.key: a for a in (table.space.random(rng) for _ in range(3 * fresh))}
        unseen = [a for key, a in drawn.items() if key not in known][:fresh]
        name = table.metric_names[0]
        truth = np.array([table.record(a)[name] for a in unseen])
        predicted = benchmark.predict(unseen)
        intervals = np.array([benchmark.interval(a) for a in unseen])
        inside = (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
        rows.append(
            {
                "data set": table.dataset,
                "seed": seed,
                "trainings": benchmark.quality.trainings,
                "rank correlation, left out": benchmark.quality.rank_correlation,
                "coverage, left out": benchmark.quality.coverage,
                "rank correlation, unseen": rank_correlation(predicted, truth),
                "coverage, unseen": float(inside.mean()),
            }
        )
        print(rows[-1], flush=True)
        made.append(benchmark)
    return rows, made[0]


def ranks(comparison: Comparison, budgets: Sequence[int]) -> dict[int, dict[str, float]]:
    """The mean regret of each sampler after each budget."""
    found: dict[int, dict[str, float]] = {}
    for summary in comparison.summary(budgets):
        found.setdefault(summary.budget, {})[summary.sampler] = summary.mean
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything and write the tables."""
    parser = tables.parser(__doc__, resumable=True)
    parser.add_argument(
        "--datasets", type=tables.several(str), default=["cifar10", "cifar100", "imagenet16"]
    )
    parser.add_argument("--path", default=None, help="parquet file of NAS-Bench-201")
    parser.add_argument("--cells", type=int, default=300, help="trainings to learn from")
    parser.add_argument("--fresh", type=int, default=1000, help="unseen cells")
    parser.add_argument("--surrogates", type=int, default=5, help="seeds of surrogates")
    parser.add_argument("--seeds", type=int, default=30, help="of each sampler")
    parser.add_argument("--budgets", type=tables.several(int), default=[50, 100])
    parser.add_argument("--workers", type=int, default=None)
    chosen = parser.parse_args(arguments)
    rows: list[tables.Row] = []
    orders: list[tables.Row] = []
    for dataset in chosen.datasets:
        table = NASBench201(dataset, path=chosen.path)
        found, surrogate = held_out(table, chosen.cells, chosen.fresh, range(chosen.surrogates))
        rows += found
        regrets = []
        for benchmark, label in ((table, "table"), (surrogate, "surrogate")):
            file = chosen.runs / "surrogate_benchmark" / f"{dataset}-{label}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            comparison = run_comparison(
                benchmark,
                SAMPLERS,
                n_trials=max(chosen.budgets),
                seeds=chosen.seeds,
                workers=chosen.workers,
                results=file,
            )
            regrets.append(ranks(comparison, chosen.budgets))
        for budget in chosen.budgets:
            on_table, on_surrogate = (found[budget] for found in regrets)
            tau = kendalltau([on_table[s] for s in SAMPLERS], [on_surrogate[s] for s in SAMPLERS])
            orders.append(
                {"data set": dataset, "trials": budget, "seeds": chosen.seeds}
                | {s: f"{on_table[s]:.3f} / {on_surrogate[s]:.3f}" for s in SAMPLERS}
                | {"Kendall's tau": float(tau.statistic)}
            )
            print(orders[-1], flush=True)
    tables.save(
        chosen.results,
        "surrogate_benchmark",
        "Surrogates of NAS-Bench-201",
        f"Made of {chosen.cells} cells drawn at random. Spearman's rank correlation, and the "
        "share of values that 90 % intervals hold: on the trainings, left out in turn, and on "
        f"{chosen.fresh:,} cells that the surrogate has never seen.",
        rows,
    )
    tables.save(
        chosen.results,
        "surrogate_benchmark_samplers",
        "Samplers on the table and on its surrogate",
        "Mean regret on the table / on the surrogate, in points of validation accuracy, and "
        "Kendall's tau of the two orders of samplers.",
        orders,
    )


if __name__ == "__main__":
    main()
