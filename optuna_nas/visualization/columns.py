"""The columns of a table of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna_nas.visualization.formats import format_count, format_duration, format_value
from optuna_nas.visualization.records import objective_names

if TYPE_CHECKING:
    import optuna

    from optuna_nas.visualization.records import TrialRecord

__all__ = ["Column", "trial_columns"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: The heading.
        read: Gets a trial's entry: a number or None, or a text.
        write: Writes a number; None for a column of texts.
        optional: Whether the column is left out if no trial has an entry.
    """

    name: str
    read: Callable[[TrialRecord], Any]
    write: Callable[[Any], str] | None = None
    optional: bool = True


def trial_columns(study: optuna.Study, records: Sequence[TrialRecord]) -> list[Column]:
    """Return the columns for a study, without those that would be empty."""
    objectives = [
        Column(name, _value(i), format_value, optional=False)
        for i, name in enumerate(objective_names(study))
    ]
    columns = [
        Column("Trial", lambda record: record.number, str, optional=False),
        Column("State", lambda record: record.state.name.lower(), optional=False),
        *objectives,
        Column("Test accuracy", lambda record: record.test_accuracy, format_value),
        Column("Parameters", lambda record: record.parameters, format_count),
        Column("FLOPs", lambda record: record.flops, format_count),
        Column("Training", lambda record: record.seconds, format_duration),
        Column("Epochs", lambda record: record.epochs or None, _integer),
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


def _integer(value: int | None) -> str:
    return format_count(None) if value is None else str(value)
