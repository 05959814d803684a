"""What a study optimises, logs and limits: the values that an objective learns, and measures.

- *Goals* are the objectives of the study. The first one is learned: it is what a trial reports
  while it trains.
- *Measures* are logged as user attributes under their names, those of goals and limits too.
- *Limits* are constraints of Optuna under the names of measures: by how much a network exceeds
  what is allowed, met up to zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from optuna_nas._checks import checked_positive
from optuna_nas.measures.measure import Measure
from optuna_nas.measures.names import MEASURES

if TYPE_CHECKING:
    from optuna.study import StudyDirection

__all__ = ["Goals", "Learned", "MeasureLike", "read_limits"]

MeasureLike: TypeAlias = str | Measure
"""A measure, or the name of one of :data:`~optuna_nas.measures.names.MEASURES`."""


@dataclass(frozen=True)
class Learned:
    """A value that an objective learns, and may report while it trains.

    Attributes:
        name: What it is called as a goal.
        metric_name: What a study calls it.
        direction: Whether higher or lower is better; None: higher.
    """

    name: str
    metric_name: str
    direction: StudyDirection | None = None

    @property
    def study_direction(self) -> StudyDirection:
        """Whether higher or lower is better."""
        from optuna.study import StudyDirection

        return self.direction or StudyDirection.MAXIMIZE


class Goals:
    """The goals, measures and limits of one objective.

    Args:
        learned: The values that the objective learns; the first one is the goal unless told
            otherwise.
        goals: Names of learned values and measures, the first that of a learned value. Names may
            stand in one text, with commas between them.
        measures: What is measured and logged beside goals and limits, likewise.
        limits: By measure, the most that is allowed; the least of what is to be maximised. Or a
            text such as `"parameters=50_000,latency=2.5"`.
        more: Measures that only this objective knows, which it always logs.

    Attributes:
        names: The goals by their names.
        measures: Everything that is measured, by name.
        limits: The limits by the name of the measure.

    Raises:
        ValueError: A name is unknown or repeated, the first goal is not learned, or a limit is no
            positive number.
    """

    def __init__(
        self,
        learned: Sequence[Learned],
        *,
        goals: MeasureLike | Sequence[MeasureLike] | None = None,
        measures: MeasureLike | Sequence[MeasureLike] = (),
        limits: Mapping[MeasureLike, float] | str | None = None,
        more: Sequence[Measure] = (),
    ) -> None:
        self.measures: dict[str, Measure] = {measure.name: measure for measure in more}
        self._known = {**MEASURES, **self.measures}
        own = {value.name: value for value in learned}
        chosen = [learned[0].name] if goals is None else _listed(goals)
        self._goals: dict[str, Learned | Measure] = {}
        for goal in chosen:
            known = own.get(goal) if isinstance(goal, str) else None
            found = known or self._added("goals", goal, own)
            self._goals[found.name] = found
        self.names = tuple(self._goals)
        if len(chosen) != len(self.names) or not chosen or self.names[0] not in own:
            raise ValueError(
                f"`goals` is {goals!r}; allowed are different names, the first of {list(own)}, "
                f"the others of these and of {list(self._known)}."
            )
        for measure in _listed(measures):
            self._added("measures", measure, own)
        self.limits: dict[str, float] = {}
        given = read_limits(limits) if isinstance(limits, str) else limits or {}
        for measure, limit in given.items():
            name = self._added("limits", measure, own).name
            self.limits[name] = checked_positive(f"limits[{name!r}]", limit)

    def _added(self, argument: str, measure: MeasureLike, own: Collection[str]) -> Measure:
        """Add what is to be measured."""
        found = self._known.get(measure) if isinstance(measure, str) else measure
        if not isinstance(found, Measure):
            allowed = [*own, *self._known] if argument == "goals" else list(self._known)
            raise ValueError(
                f"`{argument}` has {measure!r}; allowed are {allowed} and a Measure of your own."
            )
        if found.name in own or self.measures.setdefault(found.name, found) != found:
            raise ValueError(f"`{argument}` has a second measure of the name {found.name!r}.")
        return found

    @property
    def directions(self) -> tuple[StudyDirection, ...]:
        """The direction of each goal."""
        return tuple(goal.study_direction for goal in self._goals.values())

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What a study calls each goal."""
        goals = self._goals.values()
        return tuple(g.metric_name if isinstance(g, Learned) else g.name for g in goals)

    def settings(self, device: object = None) -> dict[str, object]:
        """What differs from one learned goal without limits; JSON values.

        Args:
            device: Where is measured; None for where is trained.
        """
        found: dict[str, object] = {}
        if len(self.names) > 1:
            found["goals"] = list(self.names)
        if self.limits:
            found["limits"] = dict(self.limits)
        if found and device is not None:
            found["measure_device"] = str(device)
        return found

    def excess(self, name: str, value: float) -> float:
        """By how much a value exceeds its limit, or is below that of what is maximised."""
        sign = -1 if self.measures[name].direction == "maximize" else 1
        return sign * (value - self.limits[name])

    def values(
        self, learned: Mapping[str, float], measured: Mapping[str, float]
    ) -> tuple[float, ...]:
        """The value of each goal.

        Args:
            learned: The learned values by name.
            measured: The measures by name.
        """
        known = {**measured, **learned}
        return tuple(float(known[name]) for name in self.names)


def read_limits(text: str) -> dict[str, float]:
    """Read limits such as `"parameters=50_000,latency=2.5"`.

    Raises:
        ValueError: A part is no name and number.
    """
    limits = {}
    for part in filter(None, text.split(",")):
        name, _, limit = part.partition("=")
        try:
            limits[name.strip()] = float(limit)
        except ValueError as error:
            raise ValueError(
                f"`limits` has {part.strip()!r}; allowed are a name and a number, as "
                "parameters=50_000."
            ) from error
    return limits


def _listed(names: MeasureLike | Sequence[MeasureLike]) -> list[MeasureLike]:
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    return [names] if isinstance(names, Measure) else list(names)
