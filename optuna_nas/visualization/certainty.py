"""How sure the values of a study are, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna_nas._accuracy import distinguishable
from optuna_nas.visualization.formats import format_measured

if TYPE_CHECKING:
    from optuna_nas._accuracy import Examples
    from optuna_nas.visualization.records import TrialRecord

__all__ = ["level_trials", "level_words", "measured_words"]

_MOST_NUMBERS = 12


def measured_words(value: float | None, error: float | None, examples: Examples | None) -> str:
    """Write a value, its standard error and what it was measured on, as far as it is known."""
    text = format_measured(value, error)
    return text if value is None or error is None else f"{text} ({examples})"


def level_trials(best: TrialRecord, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The other trials whose value is not distinguishable from the best one's.

    Args:
        best: The best trial of a study with one objective.
        records: The trials of the study.
    """
    [error] = best.value_errors
    if error is None:
        return []
    return [
        record
        for record in records
        if record.finished
        and record.feasible
        and record.number != best.number
        and record.value_errors[0] is not None
        and not distinguishable(record.values[0] - best.values[0], record.value_errors[0], error)
    ]


def level_words(best: TrialRecord, records: Sequence[TrialRecord]) -> str:
    """Say which trials the best one is not told apart from; empty if nothing is known of that."""
    if best.value_errors[0] is None or sum(record.finished for record in records) < 2:
        return ""
    where = f"on these {best.validation_examples}"
    proportions = best.test_name == "test accuracy"
    test = f"two-{'proportion' if proportions else 'sample'} test, 5 % level"
    level = level_trials(best, records)
    if not level:
        return f"Every other trial is distinguishable from it {where} ({test})."
    numbers = [str(record.number) for record in level]
    listed = ", ".join(numbers[:_MOST_NUMBERS]) + ", …" * (len(numbers) > _MOST_NUMBERS)
    trials = "trial is" if len(level) == 1 else "trials are"
    return f"{len(level)} other {trials} not distinguishable from it {where} ({test}): {listed}."
