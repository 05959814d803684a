"""Which parameters of a plain study are used, and when.

An objective with conditional parameters asks for some only where others have certain values. Two
settings that differ in what neither uses are one, and a model should not learn from what was not
used. What is used is found out from the trials that completed:

1. A setting that has all values of a trial will go the way of this trial, and uses the same.
2. For others, rules are learnt: a parameter that some trials lack is explained by those that all
   have, or that are explained already. The simplest rule that holds for every trial is taken: the
   choices of one parameter, or a threshold of a number, for which it is used; then, within each
   choice of one parameter, a rule of that kind.
3. What no rule explains counts as used.

A parameter that will be used, and that a proposal lacks since its parent did not use it, is drawn
uniformly, so that it is known beforehand what the trial will be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from optuna_nas.spaces import Architecture, FlatSpace
from optuna_nas.spaces.choices import place_of
from optuna_nas.spaces.values import draw

Rule = Callable[[Mapping[str, float]], bool]
"""Whether a parameter is used, from the values of those that are: places of choices, numbers."""

_DEPTH = 3
"""A rule asks for so many parameters at most."""

_SEEN = 2
"""So often a value is seen at least, on average, before a rule goes by it: what differs in every
trial explains anything."""


class Activity:
    """What the trials of a study used.

    Args:
        architectures: Those of the trials that completed, with the parameters that they used.

    Attributes:
        conditional: Whether there are parameters that not all of them used.
    """

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        space = architectures[0].space if architectures else None
        self._distributions: dict[str, BaseDistribution] = {}
        self.conditional = False
        if not isinstance(space, FlatSpace):
            return
        self._distributions = space.distributions
        count = len(self._distributions)
        self.conditional = any(len(a.identity) < count for a in architectures)
        if not self.conditional:
            return
        self._space = space
        self._settings = [self._numbers(a) for a in architectures]
        self._seen: dict[frozenset[str], set[tuple[float, ...]]] = {}
        for names, _ in Counter(frozenset(s) for s in self._settings).most_common():
            self._seen[names] = set()
        for setting in self._settings:
            self._seen[frozenset(setting)].add(tuple(setting[n] for n in sorted(setting)))
        self._always = self._names(all)
        self._rules = self._learnt()
        self._known: dict[Architecture, Architecture] = {}

    def reduced(self, architecture: Architecture) -> Architecture:
        """Return an architecture with the parameters that it uses, and with no others."""
        if not self.conditional:
            return architecture
        if architecture not in self._known:
            self._known[architecture] = self._reduce(architecture)
        return self._known[architecture]

    def _reduce(self, architecture: Architecture) -> Architecture:
        params, numbers = architecture.params, self._numbers(architecture)
        for names, seen in self._seen.items():
            if numbers.keys() >= names and tuple(numbers[n] for n in sorted(names)) in seen:
                return Architecture(self._space, {n: params[n] for n in params if n in names})
        used: dict[str, float] = {}
        rng = np.random.default_rng(crc32(str(architecture).encode()))
        explained = [*((name, None) for name in self._always), *self._rules.items()]
        for name, rule in explained:
            if rule is None or rule(used):
                if name not in params:
                    params[name] = draw(self._distributions[name], rng)
                used[name] = _number(params[name], self._distributions[name])
        unknown = params.keys() - self._always - self._rules.keys()
        return Architecture(
            self._space, {n: params[n] for n in params if n in used or n in unknown}
        )

    def _numbers(self, architecture: Architecture) -> dict[str, float]:
        return {n: _number(v, self._distributions[n]) for n, v in architecture.params.items()}

    def _names(self, test: Callable[[Iterable[bool]], bool]) -> dict[str, None]:
        """The parameters that all or any of the trials used, in their order."""
        return {n: None for n in self._distributions if test(n in s for s in self._settings)}

    def _learnt(self) -> dict[str, Rule]:
        """The rules for parameters, each from those before it."""
        columns: dict[str, np.ndarray] = {n: self._column(n) for n in self._always}
        missing = [n for n in self._names(any) if n not in columns]
        rules: dict[str, Rule] = {}
        for depth in range(1, _DEPTH + 1):
            progress = True
            while progress:
                progress = False
                for name in [n for n in missing if n not in rules]:
                    column = self._column(name)
                    rule = self._rule(~np.isnan(column), columns, depth)
                    if rule is not None:
                        rules[name], columns[name], progress = rule, column, True
        return rules

    def _column(self, name: str) -> np.ndarray:
        """The values of a parameter in all trials; NaN where it was not used."""
        return np.array([setting.get(name, np.nan) for setting in self._settings])

    def _rule(
        self, used: np.ndarray, columns: Mapping[str, np.ndarray], depth: int
    ) -> Rule | None:
        """A rule that holds for all of the trials."""
        if used.all() or not used.any():
            return partial(_constant, bool(used.all()))
        if depth == 0:
            return None
        # A parameter with few values is seen often with each, and hardly explains by chance.
        for name in sorted(columns, key=lambda n: len(np.unique(columns[n]))):
            column = columns[name]
            if not isinstance(self._distributions[name], CategoricalDistribution):
                threshold = _threshold(column, used)
                if threshold is not None:
                    return partial(_beyond, name, *threshold)
            values = np.unique(column)
            if len(values) > len(column) / _SEEN:
                continue
            parts: dict[float | None, Rule] = {}
            for value in values:
                rows = np.isnan(column) if np.isnan(value) else column == value
                others = {n: c[rows] for n, c in columns.items() if n != name}
                rule = self._rule(used[rows], others, depth - 1)
                if rule is None:
                    break
                parts[None if np.isnan(value) else float(value)] = rule
            else:
                return partial(_by_choice, name, parts)
        return None


def _number(value: Any, distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(place_of(value, distribution))
    return float(value)


def _threshold(column: np.ndarray, used: np.ndarray) -> tuple[float, bool, bool] | None:
    """A threshold, whether above it a parameter is used, and whether where there is no value."""
    absent = np.isnan(column)
    without = used[absent]
    if len(without) and without.any() != without.all():
        return None
    high, low = column[used & ~absent], column[~used & ~absent]
    if not len(high) or not len(low):
        return None
    for above, (upper, lower) in ((True, (high, low)), (False, (low, high))):
        if lower.max() < upper.min():
            return (lower.max() / 2 + upper.min() / 2), above, bool(without.any())
    return None


def _constant(used: bool, values: Mapping[str, float]) -> bool:
    return used


def _beyond(
    name: str, threshold: float, above: bool, without: bool, values: Mapping[str, float]
) -> bool:
    return (values[name] > threshold) == above if name in values else without


def _by_choice(name: str, parts: Mapping[float | None, Rule], values: Mapping[str, float]) -> bool:
    rule = parts.get(values.get(name))
    return rule is None or rule(values)  # of a choice that nobody has tried nothing is known
