"""Where a study keeps which measures its trials have, and in which units, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optuna_nas import _optuna
from optuna_nas._attributes import read_mapping

if TYPE_CHECKING:
    import optuna

__all__ = ["recall_units", "remember_units"]

UNITS_ATTRIBUTE = "optuna_nas:measures"
"""Study user attribute with the units by the names of measures."""


def remember_units(trial: optuna.trial.BaseTrial, units: Mapping[str, str]) -> None:
    """Store the units of measures on the trial's study, unless they are there.

    Args:
        trial: The trial; one without a study is left alone.
        units: By the names of the measures; empty for counts.
    """
    study = getattr(trial, "study", None)
    if study is None:
        return
    known = recall_units(study)
    if units.items() - known.items():
        storage, study_id = _optuna.storage(study), _optuna.study_id(study)
        storage.set_study_user_attr(study_id, UNITS_ATTRIBUTE, {**known, **units})


def recall_units(study: optuna.Study) -> dict[str, str]:
    """The units by the names of what trials of a study have measured; empty for counts."""
    stored = _optuna.storage(study).get_study_user_attrs(_optuna.study_id(study))
    units = read_mapping(stored, UNITS_ATTRIBUTE)
    return {name: unit for name, unit in units.items() if isinstance(unit, str)}
