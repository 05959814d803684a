"""The columns of a table of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from optuna_nas.visualization.formats import (
    format_count,
    format_duration,
    format_measured,
    format_value,
)
from optuna_nas.visualization.records import measure_headings, objective_names

if TYPE_CHECKING:
    import optuna

    from optuna_nas.visualization.records import TrialRecord

__all__ = ["Column", "measure_text", "trial_columns"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: The heading.
        read: Gets a trial's entry: a number or None, or a text.
        write: Writes a trial's number; None for a column of texts.
        optional: Whether the column is left out if no trial has an entry.
    """

    name: str
    read: Callable[[TrialRecord], Any]
    write: Callable[[TrialRecord], str] | None = None
    optional: bool = True


def trial_columns(
    study: optuna.Study, records: Sequence[TrialRecord], step: str = "epoch"
) -> list[Column]:
    """Return the columns for a study, without those that would be empty.

    Args:
        study: The study.
        records: Its trials.
        step: What trials report after.
    """
    objectives = [
        Column(name, _value(i), _measured_value(i), optional=False)
        for i, name in enumerate(objective_names(study))
    ]
    columns = [
        Column("Trial", _number, lambda record: str(record.number), optional=False),
        Column("State", lambda record: record.state_name, optional=False),
        *objectives,
        *(
            Column(f"T{name[1:]}", *_tested(name))
            for name in sorted({r.test_name for r in records if r.test_score is not None})
        ),
        Column("Parameters", *_written(lambda record: record.parameters, format_count)),
        Column("FLOPs", *_written(lambda record: record.flops, format_count)),
        *(
            Column(heading.capitalize(), _measure(name), _measured(name))
            for name, heading in measure_headings(study).items()
        ),
        Column("Training", *_written(lambda record: record.seconds, format_duration)),
        Column(f"{step.capitalize()}s", *_written(lambda record: record.epochs or None, _integer)),
        Column("Architecture", lambda record: record.architecture),
        Column("Remarks", lambda record: record.reason),
    ]
    return [
        column
        for column in columns
        if not column.optional or any(column.read(record) not in (None, "") for record in records)
    ]


def _value(objective: int) -> Callable[[TrialRecord], float | None]:
    return lambda record: record.values[objective] if record.values else None


def _measured_value(objective: int) -> Callable[[TrialRecord], str]:
    def write(record: TrialRecord) -> str:
        if not record.values:
            return format_value(None)
        return format_measured(record.values[objective], record.value_errors[objective])

    return write


def _measure(name: str) -> Callable[[TrialRecord], float | None]:
    return lambda record: record.measures.get(name, (None,))[0]


def _measured(name: str) -> Callable[[TrialRecord], str]:
    return lambda record: measure_text(record, name)


def measure_text(record: TrialRecord, name: str) -> str:
    """Write what a trial has measured, with its spread if there is one."""
    value, spread = record.measures.get(name, (None, None))
    whole = value is not None and spread is None and float(value).is_integer()
    return format_count(value) if whole else format_measured(value, spread)


def _tested(
    name: str,
) -> tuple[Callable[[TrialRecord], float | None], Callable[[TrialRecord], str]]:
    """A reader of test scores of a name, and what writes them."""

    def read(record: TrialRecord) -> float | None:
        return record.test_score if record.test_name == name else None

    return read, lambda record: format_measured(read(record), record.test_error)


def _number(record: TrialRecord) -> int:
    return record.number


def _written(
    read: Callable[[TrialRecord], _T], write: Callable[[_T], str]
) -> tuple[Callable[[TrialRecord], _T], Callable[[TrialRecord], str]]:
    """A reader of numbers, and what writes them."""
    return read, lambda record: write(read(record))


def _integer(value: int | None) -> str:
    return format_count(None) if value is None else str(value)
