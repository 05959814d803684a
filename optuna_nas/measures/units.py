"""Where a study keeps which measures its trials have, and in which units, for reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optuna_nas import _optuna
from optuna_nas._attributes import read_mapping

if TYPE_CHECKING:
    import optuna

    from optuna_nas.measures.measure import Measure

__all__ = ["recall_units", "remember_units"]

UNITS_ATTRIBUTE = "optuna_nas:measures"
"""Study user attribute with the units by the names of measures."""


def remember_units(trial: optuna.trial.BaseTrial, measures: Iterable[Measure]) -> None:
    """Store the measures on the trial's study, unless they are there.

    Args:
        trial: The trial; one without a study is left alone.
        measures: What is measured.
    """
    study = getattr(trial, "study", None)
    if study is None:
        return
    known = recall_units(study)
    units = {**known, **{measure.name: measure.unit for measure in measures}}
    if units != known:
        storage, study_id = _optuna.storage(study), _optuna.study_id(study)
        storage.set_study_user_attr(study_id, UNITS_ATTRIBUTE, units)


def recall_units(study: optuna.Study) -> dict[str, str]:
    """The units by the names of what trials of a study have measured; empty for counts."""
    stored = _optuna.storage(study).get_study_user_attrs(_optuna.study_id(study))
    units = read_mapping(stored, UNITS_ATTRIBUTE)
    return {name: unit for name, unit in units.items() if isinstance(unit, str)}
