"""What a comparison says: regrets, shares of seeds that found the optimum, tests.

The *regret* after `t` trainings is how far the best value so far is from the best possible one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas._checks import user_path
from optuna_nas.compare.results import read
from optuna_nas.compare.runs import Run
from optuna_nas.compare.statistics import holm, signed_rank_p


@dataclass(frozen=True)
class Summary:
    """How a sampler stands after a number of trainings.

    Attributes:
        sampler: Its label.
        budget: The trainings.
        seeds: Its finished runs.
        mean: The mean regret.
        standard_error: Of the mean; zero for a single seed.
        median: The median regret.
        found: The share of seeds that found the optimum.
        ms_per_ask: Milliseconds a proposal takes, over all trainings of a run; the median run.
    """

    sampler: str
    budget: int
    seeds: int
    mean: float
    standard_error: float
    median: float
    found: float
    ms_per_ask: float


@dataclass(frozen=True)
class PairedTest:
    """Wilcoxon's signed-rank test of the regrets of two samplers, paired by seed.

    Attributes:
        first: A label.
        second: Another.
        budget: After how many trainings.
        wins: Seeds with which the first has less regret.
        ties: Seeds with which both have the same.
        losses: Seeds with which the first has more.
        difference: The mean regret of the first minus that of the second.
        p: The two-sided p-value.
        p_holm: The same, adjusted for all pairs of the comparison.
    """

    first: str
    second: str
    budget: int
    wins: int
    ties: int
    losses: int
    difference: float
    p: float
    p_holm: float


class Comparison:
    """Finished runs of samplers on one benchmark.

    Args:
        settings: The first line of a results file.
        runs: The runs.
        samplers: The labels in the order of tables and figures; None is that of the runs.

    Raises:
        ValueError: There are no runs.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        runs: Sequence[Run],
        samplers: Sequence[str] | None = None,
    ) -> None:
        there = list(dict.fromkeys(run.sampler for run in runs))
        self.settings = dict(settings)
        self.runs = sorted(runs, key=lambda run: run.seed)
        self.samplers = [s for s in samplers or there if s in there]
        self.name = str(settings["name"])
        self.metric = str(settings["metric"])
        self.n_trials = int(settings["n_trials"])
        if not self.samplers:
            raise ValueError("No run is finished, so there is nothing to compare.")

    @classmethod
    def read(cls, path: str | Path, samplers: Sequence[str] | None = None) -> Comparison:
        """Read a results file.

        Args:
            path: The file.
            samplers: The labels to compare; None is all.

        Raises:
            ValueError: It is no such file, or has none of these samplers.
            OSError: It cannot be read.
        """
        settings, runs = read(user_path(path))
        if settings is None:
            raise ValueError(f"{str(path)!r} is empty; needed is a file of results.")
        return cls(settings, [r for r in runs if not samplers or r.sampler in samplers], samplers)

    def seeds(self, sampler: str) -> list[int]:
        """The seeds of the finished runs of a sampler, ascending."""
        return [run.seed for run in self._of(sampler)]

    def regrets(self, sampler: str) -> NDArray[np.float64]:
        """The regret after each training, `seeds x n_trials`, a row for each of :meth:`seeds`."""
        sign = 1 if self.settings["direction"] == "maximize" else -1
        values = np.array([run.values for run in self._of(sampler)], np.float64)  # None is NaN
        best = np.fmax.accumulate(sign * values, axis=1)
        # Before the first feasible training nothing is found.
        best = np.where(np.isnan(best), sign * self.settings["worst"], best)
        regrets: NDArray[np.float64] = sign * self.settings["optimum"] - best
        return regrets

    def ms_per_ask(self, sampler: str) -> float:
        """Milliseconds a proposal takes: the mean of a run, and of the runs the median."""
        return float(1e3 * np.median([np.mean(run.ask_seconds) for run in self._of(sampler)]))

    def budgets(self) -> list[int]:
        """A third, two thirds, and all of the trainings."""
        return sorted({-(-self.n_trials * third // 3) for third in (1, 2, 3)})

    def summary(self, budgets: Sequence[int] | None = None) -> list[Summary]:
        """Summarise each sampler after each budget.

        Args:
            budgets: Numbers of trainings; None is :meth:`budgets`.

        Raises:
            ValueError: A budget is not between 1 and `n_trials`.
        """
        chosen = [self._checked(b) for b in (self.budgets() if budgets is None else budgets)]
        found = []
        for sampler in self.samplers:
            regrets = self.regrets(sampler)
            asking = self.ms_per_ask(sampler)
            for budget in chosen:
                last = regrets[:, budget - 1]
                spread = last.std(ddof=1) / np.sqrt(len(last)) if len(last) > 1 else 0.0
                found.append(
                    Summary(
                        sampler,
                        budget,
                        len(last),
                        float(last.mean()),
                        float(spread),
                        float(np.median(last)),
                        float((last <= 0).mean()),
                        asking,
                    )
                )
        return found

    def tests(self, budget: int | None = None) -> list[PairedTest]:
        """Test each pair of samplers, on the seeds that both have.

        Args:
            budget: After how many trainings; None is after all.

        Raises:
            ValueError: The budget is not between 1 and `n_trials`.
        """
        after = self.n_trials if budget is None else self._checked(budget)
        regrets = {
            sampler: dict(
                zip(self.seeds(sampler), self.regrets(sampler)[:, after - 1], strict=True)
            )
            for sampler in self.samplers
        }
        pairs = list(combinations(self.samplers, 2))
        paired = []
        for first, second in pairs:
            both = sorted(regrets[first].keys() & regrets[second].keys())
            paired.append(
                (
                    np.array([regrets[first][seed] for seed in both]),
                    np.array([regrets[second][seed] for seed in both]),
                )
            )
        p_values = [signed_rank_p(a, b) for a, b in paired]
        return [
            PairedTest(
                *pair,
                after,
                int((a < b).sum()),
                int((a == b).sum()),
                int((a > b).sum()),
                float((a - b).mean()) if len(a) else 0.0,
                p,
                adjusted,
            )
            for pair, (a, b), p, adjusted in zip(
                pairs, paired, p_values, holm(p_values), strict=True
            )
        ]

    def _of(self, sampler: str) -> list[Run]:
        if sampler not in self.samplers:
            raise ValueError(f"`sampler` is {sampler!r}; allowed are {self.samplers}.")
        return [run for run in self.runs if run.sampler == sampler]

    def _checked(self, budget: int) -> int:
        if not 1 <= budget <= self.n_trials:
            raise ValueError(f"`budget` is {budget!r}; allowed are 1 to {self.n_trials}.")
        return int(budget)
