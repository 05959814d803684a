"""What benchmarks of recorded trainings share.

One trial: the space suggests an architecture, its row is found in the table, and the recorded
numbers are returned. Nothing is random: an architecture always has the same value.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection

from optuna_nas._choices import choose

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

    from optuna_nas.objectives.tabular.table import Metric, Table
    from optuna_nas.spaces import Architecture, SearchSpace


class TabularBenchmark(ABC):
    """An objective that looks its values up.

    Subclasses say which row of the table an architecture has.

    Args:
        space: The search space.
        table: The numbers, in the order of :meth:`row`.
        metrics: What the numbers mean, by name; `table` may lack some.
        metric: The objective, or a sequence of names for a study with several objectives.
        constraints: For each metric its limit: the most it may be, or the least if more of it is
            better. Trials get the excess through `trial.set_constraint`.
        log: Whether trials get all that is recorded as user attributes.

    Raises:
        ValueError: A metric is unknown or not in the table, or no architecture is feasible.
    """

    def __init__(
        self,
        space: SearchSpace,
        table: Table,
        metrics: Mapping[str, Metric],
        *,
        metric: str | Sequence[str],
        constraints: Mapping[str, float] | None,
        log: bool,
    ) -> None:
        known = {name: m for name, m in metrics.items() if name in table.columns}
        self.space = space
        self.metric = metric if isinstance(metric, str) else tuple(metric)
        self.constraints = {name: float(limit) for name, limit in (constraints or {}).items()}
        self.log = log
        self.source = table.source
        self._columns = dict(table.columns)
        self.metric_names = (metric,) if isinstance(metric, str) else tuple(metric)
        if not self.metric_names or len(set(self.metric_names)) < len(self.metric_names):
            raise ValueError(
                f"`metric` is {metric!r}; allowed is a name of {sorted(known)} or several "
                "different ones."
            )
        chosen = [_chosen("metric", name, known, table.source) for name in self.metric_names]
        self.directions = tuple(
            StudyDirection.MAXIMIZE if m.maximize else StudyDirection.MINIMIZE for m in chosen
        )
        self._objectives = [self._columns[name] for name in self.metric_names]
        # (name, column, sign, limit): what exceeds the limit is sign * (value - limit).
        self._limits: list[tuple[str, NDArray[np.float64], int, float]] = []
        for name, limit in self.constraints.items():
            bounded = _chosen("constraints", name, known, table.source)
            sign = -1 if bounded.maximize else 1
            self._limits.append((name, self._columns[name], sign, limit))
        self._attributes = [(m.attribute, self._columns[name]) for name, m in known.items()]
        self._feasible = np.ones(len(self._objectives[0]), dtype=bool)
        for _, column, sign, limit in self._limits:
            self._feasible &= sign * (column - limit) <= 0
        if not self._feasible.any():
            raise ValueError(f"`constraints` is {constraints!r}, which no architecture meets.")

    @abstractmethod
    def row(self, architecture: Architecture) -> int:
        """Return the row of an architecture in the table."""

    @property
    def name(self) -> str:
        """What the benchmark is called in tables and figures."""
        return type(self).__name__

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The distributions of the space."""
        return self.space.distributions

    @property
    def optimum(self) -> float:
        """The best value of a feasible architecture.

        Raises:
            ValueError: There are several objectives.
        """
        return float(self._feasible_values("optimum")[-1])

    @property
    def worst(self) -> float:
        """The worst value of a feasible architecture.

        Raises:
            ValueError: There are several objectives.
        """
        return float(self._feasible_values("worst")[0])

    def regret(self, value: float) -> float:
        """Return how far a value is from the optimum; zero at best.

        Raises:
            ValueError: There are several objectives.
        """
        return (self.optimum - value) * (1 if self._maximizes else -1)

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Look up the architecture that the trial suggests.

        Returns:
            The value, or one value for each objective.

        Raises:
            optuna.TrialPruned: A foreign sampler proposed what is no architecture.
        """
        architecture = self.space.suggest(trial)
        row = self.row(architecture)
        for name, excess in self._excess(row).items():
            trial.set_constraint(name, excess)
        if self.log:
            trial.set_user_attr("architecture", str(architecture))
            for attribute, column in self._attributes:
                trial.set_user_attr(attribute, _plain(column[row]))
        return self._values(row)

    def evaluate(self, params: Mapping[str, Any]) -> float | tuple[float, ...]:
        """Look up the architecture with these parameters, outside of any study.

        Args:
            params: A value for each parameter of the space.

        Returns:
            The value, or one value for each objective.

        Raises:
            ValueError: The parameters are no architecture.
        """
        return self._values(self.row(self.space.architecture(params)))

    def evaluate_constraints(self, params: Mapping[str, Any]) -> dict[str, float]:
        """Return by how much the architecture exceeds each limit; it is feasible up to zero."""
        return self._excess(self.row(self.space.architecture(params)))

    def record(self, architecture: Architecture) -> dict[str, float]:
        """Return all that is recorded of an architecture, by the names of the metrics."""
        row = self.row(architecture)
        return {name: _plain(column[row]) for name, column in self._columns.items()}

    def settings(self) -> dict[str, Any]:
        """What decides the values of trials; JSON values."""
        digest = hashlib.sha256()
        for column in (*self._objectives, *(limit[1] for limit in self._limits)):
            digest.update(np.ascontiguousarray(column, "<f8").tobytes())
        return {
            "benchmark": type(self).__name__,
            "space": self.space.to_dict(),
            "metric": list(self.metric_names),
            "constraints": self.constraints,
            "table": digest.hexdigest()[:16],
        }

    @property
    def _maximizes(self) -> bool:
        return self.directions[0] == StudyDirection.MAXIMIZE

    def _feasible_values(self, what: str) -> NDArray[np.float64]:
        """The worst and the best value of the only objective."""
        if len(self._objectives) > 1:
            raise ValueError(
                f"`{what}` needs a single objective; this benchmark has {self.metric_names}."
            )
        values = self._objectives[0][self._feasible]
        extremes = np.array([values.min(), values.max()])
        return extremes if self._maximizes else extremes[::-1]

    def _values(self, row: int) -> float | tuple[float, ...]:
        if len(self._objectives) == 1:
            return float(self._objectives[0][row])
        return tuple(float(column[row]) for column in self._objectives)

    def _excess(self, row: int) -> dict[str, float]:
        return {
            name: sign * (float(column[row]) - limit) for name, column, sign, limit in self._limits
        }


def _chosen(argument: str, name: str, known: Mapping[str, Metric], source: str) -> Metric:
    try:
        return choose(argument, name, known)
    except ValueError as error:
        raise ValueError(f"{error} (These are the ones in {source}.)") from None


def _plain(value: np.float64) -> float:
    """The number as storages take it; counts as integers."""
    number = float(value)
    return int(number) if number.is_integer() else number
