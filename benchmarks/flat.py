"""Studies without a search space: BananasSampler against Optuna's samplers on plain parameters.

    python -m benchmarks.flat --workers 2
    python -m benchmarks.flat --problems mixed --samplers bananas,bananas:batch_size=5,tpe

The problems are made up, and known to the last digit: each has a planted best setting of value 0,
and is scaled so that the mean of random settings is 1. The objective calls `trial.suggest_*` only,
so a sampler finds no space on the study.

- *mixed*: 20 categorical parameters of 3 to 6 choices and 10 numeric ones (float, log, integer,
  stepped). Every parameter has a cost of its own, with weights from a log-normal distribution:
  numbers a parabola with ripples. Interactions: 15 pairs of choices, 10 choices that move the
  optimum of a number, 5 pairs of numbers with a slanted valley.
- *binary*: 200 flags, a log-normal weight for each wrong one, and 200 pairs with a random cost for
  each wrong combination, so that to mend one flag alone often makes things worse.
- *onemax*: the number of wrong flags among 200.
- *leading*: 20 blocks of ten flags in a hidden order; what counts in a block is only how many are
  right before the first wrong one.

Each instance (other weights, another best setting) gets its own seeds. Written are, for each
problem, `flat_<problem>.csv` and `.md` in the folder of results.
"""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import BaseTrial

from benchmarks import tables
from optuna_nas.compare import Comparison, compare, markdown
from optuna_nas.compare import write_csv as write_comparison
from optuna_nas.spaces import Architecture, FlatSpace
from optuna_nas.spaces.values import unit

_SALT = 20_261_122
"""Keeps the instances apart from what a sampler draws with the same small numbers as seed."""

_SAMPLE = 1000
"""How many random settings set the scale."""


class PlainParameters(FlatSpace):
    """Parameters that are suggested without a word about the space they belong to."""

    def suggest(self, trial: BaseTrial) -> Architecture:
        """Suggest every parameter, and leave no description on the study."""
        params: dict[str, Any] = {}
        for name, d in self.distributions.items():
            if isinstance(d, CategoricalDistribution):
                params[name] = trial.suggest_categorical(name, d.choices)
            elif isinstance(d, IntDistribution):
                params[name] = trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
            elif isinstance(d, FloatDistribution):
                params[name] = trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
        return self.architecture(params)


class Problem(ABC):
    """An instance of a problem; lower is better, and the best is 0.

    Args:
        instance: Its number, from 0.
        distributions: The parameters.
        rng: Draws the instance.
    """

    def __init__(
        self,
        instance: int,
        distributions: Mapping[str, BaseDistribution],
        rng: np.random.Generator,
    ) -> None:
        self.instance = instance
        self.space = PlainParameters(distributions)
        self.directions = (StudyDirection.MINIMIZE,)
        self.metric_names = ("cost",)
        self.optimum = 0.0
        self.best = self.space.random(rng).params
        self._draw(rng)
        sample = [self.cost(self.space.random(rng).params) for _ in range(_SAMPLE)]
        self.scale, self.worst = float(np.mean(sample)), max(sample) / float(np.mean(sample))

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> None:
        """Draw the weights, with `self.best` as the best setting."""

    @abstractmethod
    def cost(self, params: Mapping[str, Any]) -> float:
        """The cost of a setting before it is scaled: zero or more, zero for the best."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{type(self).__name__} {self.instance}"

    def settings(self) -> dict[str, Any]:
        """What decides the values of trials."""
        return {"problem": type(self).__name__, "instance": self.instance, "scale": self.scale}

    def __call__(self, trial: BaseTrial) -> float:
        """Suggest a setting and return its cost."""
        return self.cost(self.space.suggest(trial).params) / self.scale


class Mixed(Problem):
    """Categorical and numeric parameters that interact."""

    def __init__(self, instance: int) -> None:
        rng = np.random.default_rng([_SALT, 1, instance])
        super().__init__(instance, _mixed_parameters(rng), rng)

    def _draw(self, rng: np.random.Generator) -> None:
        distributions = self.space.distributions
        choices = [n for n in distributions if n.startswith("choice")]
        numbers = [n for n in distributions if n.startswith("number")]
        sizes = {n: len(_choices(distributions[n])) for n in choices}
        centres = {n: self._position(self.best, n) for n in numbers}
        right = {n: self._position(self.best, n) for n in choices}

        self._single = {n: _weight(rng) * rng.random(sizes[n]) for n in choices}
        for name, costs in self._single.items():
            costs[int(right[name])] = 0
        self._slopes = {n: (_weight(rng), centres[n]) for n in numbers}
        self._pairs = []
        for _ in range(15):
            first, second = rng.choice(choices, 2, replace=False)
            costs = _weight(rng) * rng.random((sizes[first], sizes[second]))
            costs[int(right[first]), int(right[second])] = 0
            self._pairs.append((first, second, costs))
        self._moved = []
        for _ in range(10):
            choice, number = rng.choice(choices), rng.choice(numbers)
            places = rng.random(sizes[choice])
            places[int(right[choice])] = centres[number]
            self._moved.append((choice, number, _weight(rng), places))
        self._valleys = []
        for _ in range(5):
            first, second = rng.choice(numbers, 2, replace=False)
            lean = float(rng.choice([-1.0, 1.0]))
            self._valleys.append((first, second, _weight(rng), centres, lean))

    def cost(self, params: Mapping[str, Any]) -> float:
        """The sum of all terms."""
        at = {name: self._position(params, name) for name in params}
        total = sum(costs[int(at[name])] for name, costs in self._single.items())
        for name, (weight, centre) in self._slopes.items():
            away = at[name] - centre
            total += weight * (4 * away**2 + 0.1 * (1 - np.cos(6 * np.pi * away)))
        for first, second, costs in self._pairs:
            total += costs[int(at[first]), int(at[second])]
        for choice, number, weight, places in self._moved:
            total += 4 * weight * (at[number] - places[int(at[choice])]) ** 2
        for first, second, weight, centres, lean in self._valleys:
            away = at[first] - centres[first] + lean * (at[second] - centres[second])
            total += 4 * weight * away**2
        return float(total)

    def _position(self, params: Mapping[str, Any], name: str) -> float:
        """The number of a choice, or where a number lies in its range, from 0 to 1."""
        distribution = self.space.distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            return float(distribution.choices.index(params[name]))
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        return unit(params[name], distribution)


class Flags(Problem):
    """What the problems of 200 flags share."""

    number = 200

    def __init__(self, instance: int) -> None:
        flags: dict[str, BaseDistribution] = {
            f"flag_{i:03}": CategoricalDistribution([False, True]) for i in range(self.number)
        }
        super().__init__(instance, flags, np.random.default_rng([_SALT, 2, instance]))

    def wrong(self, params: Mapping[str, Any]) -> NDArray[np.int64]:
        """Which flags are wrong, as zeros and ones."""
        return np.array([params[name] != right for name, right in self.best.items()], np.int64)


class Binary(Flags):
    """A weight for each wrong flag, and costs of pairs."""

    def _draw(self, rng: np.random.Generator) -> None:
        self._weights = rng.lognormal(size=self.number)
        self._pairs = np.array([rng.choice(self.number, 2, False) for _ in range(self.number)])
        self._costs = rng.lognormal(size=(self.number, 1, 1)) * rng.random((self.number, 2, 2))
        self._costs[:, 0, 0] = 0

    def cost(self, params: Mapping[str, Any]) -> float:
        """The weights of the wrong flags and the costs of the pairs."""
        wrong = self.wrong(params)
        first, second = wrong[self._pairs].T
        pairs = self._costs[np.arange(len(self._costs)), first, second]
        return float(self._weights @ wrong + pairs.sum())


class OneMax(Flags):
    """The number of wrong flags."""

    def _draw(self, rng: np.random.Generator) -> None:
        """Nothing is left to draw."""

    def cost(self, params: Mapping[str, Any]) -> float:
        """The number of wrong flags."""
        return float(self.wrong(params).sum())


class Leading(Flags):
    """Blocks in which only the flags before the first wrong one count."""

    block = 10

    def _draw(self, rng: np.random.Generator) -> None:
        self._blocks = rng.permutation(self.number).reshape(-1, self.block)

    def cost(self, params: Mapping[str, Any]) -> float:
        """The flags that are not leading."""
        leading = np.cumprod(1 - self.wrong(params)[self._blocks], axis=1)
        return float(self.number - leading.sum())


PROBLEMS: dict[str, type[Mixed | Binary | OneMax | Leading]] = {
    "binary": Binary,
    "leading": Leading,
    "mixed": Mixed,
    "onemax": OneMax,
}


def _mixed_parameters(rng: np.random.Generator) -> dict[str, BaseDistribution]:
    parameters: dict[str, BaseDistribution] = {
        f"choice_{i:02}": CategoricalDistribution(
            list(string.ascii_lowercase[: rng.integers(3, 7)])
        )
        for i in range(20)
    }
    numbers: list[BaseDistribution] = [FloatDistribution(-5, 5) for _ in range(4)]
    numbers += [FloatDistribution(1e-5, 1e-1, log=True) for _ in range(2)]
    numbers += [IntDistribution(1, 8), IntDistribution(0, 50), IntDistribution(8, 512, log=True)]
    numbers += [FloatDistribution(0, 1, step=0.1)]
    return parameters | {f"number_{i}": d for i, d in enumerate(numbers)}


def _choices(distribution: BaseDistribution) -> Sequence[Any]:
    assert isinstance(distribution, CategoricalDistribution)
    return distribution.choices


def _weight(rng: np.random.Generator) -> float:
    return float(rng.lognormal())


def pooled(comparisons: Sequence[Comparison], name: str) -> Comparison:
    """Put the runs of all instances together: all have the optimum 0 and the same scale.

    Args:
        comparisons: One for each instance, each with its own seeds.
        name: The name of the problem.
    """
    worst = max(c.settings["worst"] for c in comparisons)
    settings = {**comparisons[0].settings, "name": name, "worst": worst}
    runs = [run for comparison in comparisons for run in comparison.runs]
    return Comparison(settings, runs, comparisons[0].samplers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and write the tables."""
    parser = tables.parser(__doc__, resumable=True)
    names = tables.several(str)
    numbers = tables.several(int)
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--problems", type=names, default=list(PROBLEMS))
    parser.add_argument("--samplers", type=names, default=["bananas", "tpe", "random"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--budgets", type=numbers, default=None, help="a quarter, half, all")
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10, help="for each instance")
    parser.add_argument("--first-seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if unknown := sorted(set(chosen.problems) - set(PROBLEMS)):
        parser.error(f"--problems has {unknown}; allowed are {sorted(PROBLEMS)}")
    budgets = chosen.budgets or [-(-chosen.trials // part) for part in (4, 2, 1)]
    for problem in chosen.problems:
        found = []
        for instance in range(chosen.instances):
            first = chosen.first_seed + instance * chosen.seeds
            found.append(
                compare(
                    PROBLEMS[problem](instance),
                    chosen.samplers,
                    n_trials=chosen.trials,
                    seeds=range(first, first + chosen.seeds),
                    workers=chosen.workers,
                    results=chosen.runs / f"flat_{problem}_{instance}.jsonl",
                )
            )
        together = pooled(found, f"{problem}, {chosen.instances} instances")
        chosen.results.mkdir(parents=True, exist_ok=True)
        write_comparison(together, chosen.results / f"flat_{problem}.csv", budgets)
        tables.write_text(chosen.results, f"flat_{problem}", markdown(together, budgets))


if __name__ == "__main__":
    main()
