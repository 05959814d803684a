"""The options that say what is optimised, measured and limited, and what is made of them.

A measure of one's own is `module:object` wherever the name of a measure may stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna_nas._choices import choose
from optuna_nas._options import options_of
from optuna_nas.cli.named import named, unfit
from optuna_nas.cli.objectives.recipe import Option, Options
from optuna_nas.measures.goals import MeasureLike, read_limits
from optuna_nas.measures.measure import Measure
from optuna_nas.measures.names import MEASURES
from optuna_nas.objectives.options import GoalOptions

__all__ = [
    "GOAL_OPTIONS",
    "limits_in_words",
    "make_goals",
    "named_measure",
    "without_own_measures",
]

_DECLARED = options_of(GoalOptions)
_KNOWN = {"goals": f" Measures: {', '.join(MEASURES)}, or module:object."}

GOAL_OPTIONS = (
    *(replace(o, default=None, help=o.help + _KNOWN.get(n, "")) for n, o in _DECLARED.items()),
    *(
        Option(
            f"max_{measure.name}",
            float if measure.unit in ("ms", "mJ") else int,
            None,
            f"Networks of more {measure.unit or measure.name} are not trained.",
        )
        for measure in MEASURES.values()
    ),
)


def make_goals(options: Options) -> dict[str, Any]:
    """The arguments of an objective that say what is optimised, measured and limited.

    Raises:
        ValueError: A measure of one's own cannot be had.
    """
    limits: dict[MeasureLike, float] = {
        name: limit for name in MEASURES if (limit := options[f"max_{name}"]) is not None
    }
    for name, limit in read_limits(options["limits"] or "").items():
        limits[_own("limits", name)] = limit
    goals, measures = (
        [_own(argument, name) for name in _names(options[argument])]
        for argument in ("goals", "measures")
    )
    return {
        "goals": goals or None,
        "measures": measures,
        "limits": limits,
        "measure_device": options["measure_device"],
    }


def limits_in_words(limits: Mapping[str, float]) -> list[str]:
    """What is limited, in a sentence; none if nothing is."""
    listed = ", ".join(f"{name} {limit:,g}" for name, limit in limits.items())
    return [f"Networks over a limit are not trained: {listed}."] if limits else []


def without_own_measures(options: Options) -> dict[str, Any]:
    """The options of an objective without measures of one's own, which are not imported then."""
    own = {name for name, declared in _DECLARED.items() if declared.imports}
    return {
        name: None if name in own and ":" in (value or "") else value
        for name, value in options.items()
    }


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def named_measure(argument: str, name: str) -> Measure:
    """The measure of a name, or that is `module:object`.

    Raises:
        ValueError: There is none.
    """
    if ":" not in name:
        return choose(argument, name, MEASURES)
    found = named(argument, name, {})
    if not isinstance(found, Measure):
        raise unfit(argument, name, found, "a Measure")
    return found


def _own(argument: str, name: str) -> MeasureLike:
    """The measure that `module:object` is, or a name as it is."""
    return named_measure(argument, name) if ":" in name else name
