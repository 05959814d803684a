"""Several objectives, and a constraint: BananasSampler against Optuna's samplers.

    python -m benchmarks.several_objectives --path nasbench201.parquet

NAS-Bench-201: validation accuracy against parameters, and against parameters and latency.

- *objectives*: the share of the best possible hypervolume that is missing. The reference point is
  the worst values on the true front and a tenth of its extent, to which objectives are scaled.
- *constraint*: the regret of the best cell with at most so many parameters, and the share of
  feasible trials after the first ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from benchmarks import tables
from optuna_nas.objectives import NASBench201
from optuna_nas.samplers import BananasSampler, RegularizedEvolutionSampler

METRICS = ("val_accuracy_200", "parameters", "latency")
STARTUP = 10
SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "bananas": lambda seed: BananasSampler(seed=seed),
    "bananas, hypervolume": lambda seed: BananasSampler(multi_objective="hypervolume", seed=seed),
    "nsgaii, population 20": lambda seed: NSGAIISampler(population_size=20, seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
}
CONSTRAINED: Mapping[str, Callable[[int], BaseSampler]] = {
    "bananas": SAMPLERS["bananas"],
    "evolution": lambda seed: RegularizedEvolutionSampler(seed=seed),
    "tpe": SAMPLERS["tpe"],
    "random": SAMPLERS["random"],
}


class Volume:
    """The hypervolume of trials, as a share of the best possible one.

    Args:
        benchmark: A benchmark of several objectives.
    """

    def __init__(self, benchmark: NASBench201) -> None:
        maximised = [d == optuna.study.StudyDirection.MAXIMIZE for d in benchmark.directions]
        self._signs = np.where(maximised, -1.0, 1.0)
        choices = [
            d.choices
            for d in benchmark.search_space.values()
            if isinstance(d, CategoricalDistribution)
        ]
        names = list(benchmark.search_space)
        every = [
            benchmark.evaluate(dict(zip(names, chosen, strict=True)))
            for chosen in product(*choices)
        ]
        front = _front(np.unique(self._signs * np.array(every), axis=0))
        self._ideal = front.min(axis=0)
        self._extent = 1.1 * np.ptp(front, axis=0)
        self._most = self._of(front)

    def missing(self, values: Sequence[Sequence[float]]) -> float:
        """The share of the best hypervolume that the values lack, in per cent."""
        return 100 * (1 - self._of(self._signs * np.array(values)) / self._most)

    def _of(self, losses: NDArray[np.float64]) -> float:
        scaled = (losses - self._ideal) / self._extent
        within = scaled[(scaled < 1).all(axis=1)]
        return float(compute_hypervolume(within, np.ones(within.shape[1]))) if len(within) else 0.0


def _front(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """What nothing before it dominates, of vectors in lexicographic order."""
    front: list[NDArray[np.float64]] = []
    for vector in losses:
        if not any((kept <= vector).all() for kept in front):
            front.append(vector)
    return np.array(front)


def _error(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"


def objectives(
    benchmark: NASBench201, seeds: Sequence[int], budgets: Sequence[int]
) -> list[tables.Row]:
    """A row for each sampler."""
    volume = Volume(benchmark)
    rows: list[tables.Row] = []
    for label, make in SAMPLERS.items():
        missing: dict[int, list[float]] = {budget: [] for budget in budgets}
        for seed in seeds:
            study = optuna.create_study(directions=benchmark.directions, sampler=make(seed))
            study.optimize(benchmark, n_trials=max(budgets))
            values = [trial.values for trial in study.trials]
            for budget in budgets:
                missing[budget].append(volume.missing(values[:budget]))
        shown = {f"missing % @{budget}": _error(found) for budget, found in missing.items()}
        rows.append(
            {"objectives": len(benchmark.directions), "sampler": label, "seeds": len(seeds)}
            | shown
        )
        print(rows[-1], flush=True)
    return rows


def constraint(
    benchmark: NASBench201, seeds: Sequence[int], budgets: Sequence[int]
) -> list[tables.Row]:
    """A row for each sampler."""
    rows: list[tables.Row] = []
    for label, make in CONSTRAINED.items():
        regrets: dict[int, list[float]] = {budget: [] for budget in budgets}
        shares = []
        for seed in seeds:
            study = optuna.create_study(direction="maximize", sampler=make(seed))
            study.optimize(benchmark, n_trials=max(budgets))
            feasible = [all(c <= 0 for c in t.constraints.values()) for t in study.trials]
            values = [
                t.values[0] if ok else 0.0 for t, ok in zip(study.trials, feasible, strict=True)
            ]
            for budget in budgets:
                regrets[budget].append(benchmark.regret(max(values[:budget])))
            shares.append(float(np.mean(feasible[STARTUP:])))
        shown = {f"regret @{budget}": _error(found) for budget, found in regrets.items()}
        found = float(np.mean(np.array(regrets[max(budgets)]) <= 0))
        rows.append(
            {"sampler": label, "seeds": len(seeds)}
            | shown
            | {f"found @{max(budgets)}": f"{found:.0%}", "feasible": f"{np.mean(shares):.0%}"}
        )
        print(rows[-1], flush=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything and write the tables."""
    parser = tables.parser(__doc__)
    parser.add_argument("--dataset", default="cifar100")
    parser.add_argument("--path", default=None, help="parquet file of NAS-Bench-201")
    parser.add_argument("--budgets", type=tables.several(int), default=[50, 100])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--parameters", type=int, default=200_000, help="the most")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(chosen.seeds)
    rows: list[tables.Row] = []
    for number in (2, 3):
        several = NASBench201(chosen.dataset, METRICS[:number], path=chosen.path)
        rows += objectives(several, seeds, chosen.budgets)
    tables.save(
        chosen.results,
        "several_objectives",
        "Several objectives",
        f"NAS-Bench-201, {chosen.dataset}: {', '.join(METRICS)}. The share of the best possible "
        "hypervolume that is missing after so many trials (@), mean over the seeds with its "
        "standard error.",
        rows,
    )
    limited = NASBench201(
        chosen.dataset, path=chosen.path, constraints={"parameters": chosen.parameters}
    )
    tables.save(
        chosen.results,
        "constraint",
        "A constraint",
        f"NAS-Bench-201, {chosen.dataset}, at most {chosen.parameters:,} parameters: regret "
        "of the best feasible cell, and the share of feasible trials after the first ten.",
        constraint(limited, seeds, chosen.budgets),
    )


if __name__ == "__main__":
    main()
