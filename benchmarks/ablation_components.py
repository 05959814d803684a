"""One component of BananasSampler varied at a time, on NAS-Bench-201.

    python -m benchmarks.ablation_components --path nasbench201.parquet --workers 2
    python -m benchmarks.ablation_components --components acquisition,candidates --seeds 10

Everything else stays at its default; `published` is the setting of the paper. Variants are paired
with the default by seed: Wilcoxon's signed-rank test, adjusted by Holm's method for all variants
of a data set.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import tables
from optuna_nas.compare import Comparison, compare
from optuna_nas.compare import write_csv as write_comparison
from optuna_nas.compare.samplers import SamplerFactory
from optuna_nas.compare.statistics import holm, signed_rank_p
from optuna_nas.objectives import NASBench201
from optuna_nas.samplers import BananasSampler
from optuna_nas.surrogates import MLPEnsemble
from optuna_nas.surrogates import names as components

DEFAULT = "default"
_NAMED: Mapping[str, Mapping[str, object]] = {
    "acquisition": components.ACQUISITIONS,
    "candidates": components.CANDIDATES,
    "encoding": components.ENCODINGS,
    "loss": components.LOSSES,
    "predictor": components.PREDICTORS,
    "targets": components.TARGETS,
}
_DEFAULTS = {
    "acquisition": "its",
    "candidates": "mixed",
    "encoding": "adaptive",
    "loss": "mae",
    "predictor": "mlp",
    "targets": "log_regret",
}
_BATCHES = (1, 2, 5, 10, 20)
_ENSEMBLES: Mapping[str, Mapping[str, Any]] = {
    "members=1": {"num_members": 1},
    "members=3": {"num_members": 3},
    "members=10": {"num_members": 10},
    "partial_members=0": {"partial_members": 0},
    "spread=1": {"spread": 1.0},
    "hidden=10x20": {"hidden": (20,) * 10},
}
COMPONENTS = (*_NAMED, "batch_size", "ensemble", "published")


def variants(chosen: Sequence[str]) -> dict[str, str | SamplerFactory]:
    """Return the default and what differs from it in one component, by label.

    Args:
        chosen: Names of :data:`COMPONENTS`.
    """
    found: dict[str, str | SamplerFactory] = {DEFAULT: "bananas"}
    for component, names in _NAMED.items():
        if component in chosen:
            for name in names:
                if name != _DEFAULTS[component]:
                    found[f"{component}={name}"] = f"bananas:{component}={name}"
    if "batch_size" in chosen:
        found |= {f"batch_size={size}": f"bananas:batch_size={size}" for size in _BATCHES}
    if "ensemble" in chosen:
        found |= {label: partial(_with_ensemble, **given) for label, given in _ENSEMBLES.items()}
    if "published" in chosen:
        found["published"] = BananasSampler.published
    return found


def _with_ensemble(*, seed: int, **arguments: Any) -> BananasSampler:
    # Made anew for each run: runs must not share a predictor.
    return BananasSampler(predictor=MLPEnsemble(**arguments), seed=seed)


def rows(comparison: Comparison, dataset: str, budgets: Sequence[int]) -> list[tables.Row]:
    """Return a row for each variant: regrets, and how they differ from the default's."""
    found: list[tables.Row] = []
    p_values = {
        budget: dict(zip(comparison.samplers[1:], _adjusted(comparison, budget), strict=True))
        for budget in budgets
    }
    for label in comparison.samplers:
        row: dict[str, object] = {"data set": dataset, "variant": label}
        regrets = comparison.regrets(label)
        row["seeds"] = len(regrets)
        for budget in budgets:
            last = regrets[:, budget - 1]
            error = last.std(ddof=1) / np.sqrt(len(last)) if len(last) > 1 else 0.0
            row[f"@{budget}"] = f"{last.mean():.3f} ± {error:.3f}"
            p = p_values[budget].get(label)
            row[f"p @{budget}"] = "-" if p is None else f"{p:.2g}"
        row[f"found @{max(budgets)}"] = f"{(last <= 0).mean():.0%}"
        row["ms/ask"] = f"{comparison.ms_per_ask(label):.1f}"
        found.append(row)
    return found


def _adjusted(comparison: Comparison, budget: int) -> list[float]:
    """The adjusted p-value of each variant against the first of the comparison."""
    default, *others = comparison.samplers
    base = dict(zip(comparison.seeds(default), comparison.regrets(default), strict=True))
    p_values = []
    for label in others:
        pairs = [
            (base[seed][budget - 1], regrets[budget - 1])
            for seed, regrets in zip(
                comparison.seeds(label), comparison.regrets(label), strict=True
            )
            if seed in base
        ]
        first, second = np.array(pairs).T
        p_values.append(signed_rank_p(first, second))
    return holm(p_values)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the tables."""
    parser = tables.parser(__doc__, resumable=True)
    names, numbers = tables.several(str), tables.several(int)
    parser.add_argument(
        "--components", type=names, default=list(COMPONENTS), help=", ".join(COMPONENTS)
    )
    parser.add_argument("--datasets", type=names, default=["cifar10", "cifar100", "imagenet16"])
    parser.add_argument("--path", default=None, help="parquet file of NAS-Bench-201")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--budgets", type=numbers, default=None, help="a third, two thirds, all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    chosen = parser.parse_args(arguments)
    if unknown := sorted(set(chosen.components) - set(COMPONENTS)):
        parser.error(f"--components has {unknown}; allowed are {list(COMPONENTS)}")
    budgets = chosen.budgets or sorted({-(-chosen.trials * part // 3) for part in (1, 2, 3)})
    found: list[tables.Row] = []
    for dataset in chosen.datasets:
        comparison = compare(
            NASBench201(dataset, path=chosen.path),
            variants(chosen.components),
            n_trials=chosen.trials,
            seeds=chosen.seeds,
            workers=chosen.workers,
            results=chosen.runs / f"components_{dataset}.jsonl",
            progress=lambda done, total: print(
                f"{done} of {total} runs", end="\r", file=sys.stderr
            ),
        )
        chosen.results.mkdir(parents=True, exist_ok=True)
        write_comparison(comparison, chosen.results / f"components_{dataset}.csv", budgets)
        found += rows(comparison, dataset, budgets)
    tables.save(
        chosen.results,
        "components",
        "One component at a time",
        "NAS-Bench-201, mean regret of the 200-epoch validation accuracy after so many trainings "
        "(@) with its standard error; p of the difference to the default, paired by seed, "
        "adjusted by Holm's method; the share of seeds that found the best cell.",
        found,
    )


if __name__ == "__main__":
    main()
