"""What a study says about each of its trials, read once and checked, for figures and tables.

User attributes may hold anything: one that should be a number and is none counts as missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from optuna_nas import _optuna
from optuna_nas._accuracy import Examples, examples_of, measured_error, standard_error
from optuna_nas._attributes import as_number, read_list, read_number, read_text
from optuna_nas._ranking import is_feasible, ranked_trials
from optuna_nas._text import one_line
from optuna_nas._units import recall_units
from optuna_nas.spaces import recall_space
from optuna_nas.spaces.base import INVALID_REASON
from optuna_nas.storages.retries import (
    INTERRUPTED,
    REASON_ATTR,
    is_begun,
    retry_history,
    state_name,
)

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.spaces import SearchSpace

__all__ = [
    "TrialRecord",
    "measure_headings",
    "objective_name",
    "objective_names",
    "ranked_records",
    "read_records",
    "stored_space",
    "value_errors",
]

_LONGEST_NAME = 40
_CURVE_ATTRIBUTE = "learning_curve"


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: Its number in the study.
        state: Its state.
        state_name: What that is called; `interrupted` where it does not tell the trial's fault.
        values: Its final values, one for each objective; empty unless it is complete.
        feasible: Whether it meets its constraints.
        curve: The reported values as (epoch, value), by epoch; finite ones only.
        epochs: How many epochs were reported.
        architecture: The architecture as text; empty if there is none.
        parameters: Trainable parameters of its network.
        flops: Multiply-accumulates of one image.
        measures: What else was measured, each with its spread or None, by name.
        test_score: The accuracy, or another score, on the test examples.
        test_name: What that is called.
        value_errors: The standard error of each value; None if it is not known.
        test_error: That of the test score; None likewise.
        validation_examples: What the values were measured on, if that is known.
        test_examples: What the test score was measured on, likewise.
        seconds: Seconds of training.
        reason: Why it was pruned, failed or left out, as far as the study knows; else empty.
        continued_by: The trial that went on with this interrupted one, if any; its `seconds`
            include this one's.
    """

    number: int
    state: TrialState
    state_name: str
    values: tuple[float, ...]
    feasible: bool
    curve: tuple[tuple[int, float], ...]
    epochs: int
    architecture: str
    parameters: float | None
    flops: float | None
    measures: Mapping[str, tuple[float, float | None]]
    test_score: float | None
    test_name: str
    value_errors: tuple[float | None, ...]
    test_error: float | None
    validation_examples: Examples | None
    test_examples: Examples | None
    seconds: float | None
    reason: str
    continued_by: int | None

    @property
    def finished(self) -> bool:
        """Whether it is complete and all of its values are finite."""
        return bool(self.values) and all(map(math.isfinite, self.values))


def read_records(study: optuna.Study) -> list[TrialRecord]:
    """Read all trials of a study, by number."""
    space, _ = stored_space(study)
    names = objective_names(study)
    measures = measure_headings(study)
    trials = study.get_trials(deepcopy=False)
    continued = {
        history[-1]: trial.number for trial in trials if (history := retry_history(trial))
    }
    return [_record(trial, space, names, measures, continued) for trial in trials]


def ranked_records(study: optuna.Study, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that may be the best (:mod:`optuna_nas._ranking`).

    Args:
        study: The study.
        records: Its trials.

    Returns:
        Those of one objective best first; with several objectives the Pareto front by number.
    """
    by_number = {record.number: record for record in records}
    ranked = ranked_trials(study.get_trials(deepcopy=False), study.directions)
    return [by_number[trial.number] for trial in ranked if trial.number in by_number]


def objective_names(study: optuna.Study) -> list[str]:
    """Return the name of each objective, as the study has them or numbered."""
    stored = _optuna.storage(study).get_study_system_attrs(_optuna.study_id(study))
    names = read_list(stored, "study:metric_names", str)
    if len(names) == len(study.directions):
        return names
    if len(study.directions) == 1:
        return ["objective value"]
    return [f"objective {i}" for i in range(len(study.directions))]


def measure_headings(study: optuna.Study) -> dict[str, str]:
    """What trials have measured and is shown nowhere else, with headings that have the units."""
    shown = {*objective_names(study), "parameters"}
    units = recall_units(study)
    return {n: f"{n} ({unit})" if unit else n for n, unit in units.items() if n not in shown}


def objective_name(study: optuna.Study, objective: int) -> str:
    """Return the name of one objective.

    Raises:
        ValueError: There is no such objective.
    """
    names = objective_names(study)
    if not 0 <= objective < len(names):
        raise ValueError(
            f"`objective` is {objective!r}; the study has those from 0 to {len(names) - 1}."
        )
    return names[objective]


def stored_space(study: optuna.Study) -> tuple[SearchSpace | None, str]:
    """Return the space stored on a study, or None and the reason why there is none."""
    try:
        space = recall_space(study) or recall_space(study, derived=True)
    except ValueError as error:  # made elsewhere, or by hand
        return None, f"The space stored on the study cannot be read here: {error}"
    return space, "" if space else "No search space is stored on the study."


def _record(
    trial: FrozenTrial,
    space: SearchSpace | None,
    names: Sequence[str],
    measures: Iterable[str],
    continued: Mapping[int, int],
) -> TrialRecord:
    curve = _curve(trial)
    complete = trial.state == TrialState.COMPLETE
    values = tuple(trial.values) if complete and trial.values else ()
    validation, test = (examples_of(trial.user_attrs, name) for name in ("validation", "test"))
    test_name, test_score, test_error = _tested(trial, test)
    return TrialRecord(
        number=trial.number,
        state=trial.state,
        state_name=state_name(trial, continued=trial.number in continued),
        values=values,
        feasible=is_feasible(trial),
        curve=tuple(point for point in curve if math.isfinite(point[1])),
        epochs=len(curve),
        architecture=_architecture(trial, space),
        parameters=read_number(trial.user_attrs, "parameters"),
        flops=read_number(trial.user_attrs, "flops"),
        measures={
            name: (value, read_number(trial.user_attrs, f"{name}_spread"))
            for name in measures
            if (value := read_number(trial.user_attrs, name)) is not None
        },
        test_score=test_score,
        test_name=test_name,
        value_errors=value_errors(trial, names),
        test_error=test_error,
        validation_examples=validation,
        test_examples=test,
        seconds=read_number(trial.user_attrs, "seconds"),
        reason=_reason(trial, len(curve), continued.get(trial.number)),
        continued_by=continued.get(trial.number),
    )


def value_errors(trial: FrozenTrial, names: Sequence[str]) -> tuple[float | None, ...]:
    """The standard error of each value of a complete trial; None where it is not known.

    A value is an accuracy if its name says so. A single value that is made of one, as a score is,
    has the error of the user attribute `validation_accuracy`; another score has that of
    `validation_error`.

    Args:
        trial: The trial.
        names: The names of the objectives.
    """
    values = trial.values if trial.state == TrialState.COMPLETE and trial.values else ()
    examples = examples_of(trial.user_attrs, "validation")
    accuracy = read_number(trial.user_attrs, "validation_accuracy")
    if len(values) == 1 and accuracy is not None:
        return (_error(accuracy, examples),)
    if len(values) == 1 and (error := measured_error(trial.user_attrs, "validation")) is not None:
        return (error,)
    return tuple(
        _error(value if "accuracy" in name.lower() else None, examples)
        for name, value in zip(names, values, strict=False)
    )


def _tested(
    trial: FrozenTrial, examples: Examples | None
) -> tuple[str, float | None, float | None]:
    """The name of the score on the test examples, the score, and its standard error."""
    attributes = trial.user_attrs
    accuracy = read_number(attributes, "test_accuracy")
    score = read_number(attributes, "test_score")
    if accuracy is not None or score is None:
        return "test accuracy", accuracy, _error(accuracy, examples)
    name = one_line(read_text(attributes, "score") or "score", _LONGEST_NAME)
    return f"test {name}", score, measured_error(attributes, "test")


def _error(accuracy: float | None, examples: Examples | None) -> float | None:
    if accuracy is None or examples is None or not 0 <= accuracy <= 1:
        return None
    return standard_error(accuracy, examples.number)


def _curve(trial: FrozenTrial) -> list[tuple[int, float]]:
    """The reported values by epoch; those of several objectives are in a user attribute."""
    if trial.intermediate_values:
        return sorted(trial.intermediate_values.items())
    stored = read_list(trial.user_attrs, _CURVE_ATTRIBUTE, list)
    pairs = (point for point in stored if len(point) == 2 and type(point[0]) is int)
    return sorted((e, float(number)) for e, v in pairs if (number := as_number(v)) is not None)


def _architecture(trial: FrozenTrial, space: SearchSpace | None) -> str:
    text = read_text(trial.user_attrs, "architecture")
    if text is not None or space is None:
        return text or ""
    architecture = space.read(trial.params)
    return "" if architecture is None else str(architecture)


def _reason(trial: FrozenTrial, epochs: int, continued: int | None) -> str:
    if continued is not None:
        return f"interrupted; trial {continued} goes on with it"
    if trial.state == TrialState.COMPLETE and not is_feasible(trial):
        return "infeasible"
    if state_name(trial, continued=False) == INTERRUPTED:
        return "interrupted too often; given up" if is_begun(trial) else "interrupted at once"
    if trial.state not in (TrialState.PRUNED, TrialState.FAIL):
        return ""
    for attribute in (INVALID_REASON, REASON_ATTR):
        if reason := read_text(trial.user_attrs, attribute):
            return reason
    verb = "stopped" if trial.state == TrialState.PRUNED else "failed"
    when = f"after {epochs} report{'s'[: epochs != 1]}" if epochs else "before its first report"
    return f"{verb} {when}"
