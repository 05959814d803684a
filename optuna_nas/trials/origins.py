"""Which trial started a training that this one may go on with."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial

from optuna_nas import _optuna

__all__ = ["origin"]

RUN_ATTR = "optuna_nas:run"
_ORIGIN_ATTR = "failed_trial"
"""What `optuna.storages.RetryHeartbeatStaleTrialCallback` writes."""

_logger = optuna.logging.get_logger("optuna_nas")


def origin(study: optuna.Study, trial: FrozenTrial) -> int:
    """The number of the trial that started the training of this one; its own if that is new.

    It names the file of the checkpoint and decides the seed, so what the storage says is believed
    only if it is an earlier trial of this study, of the same run as far as it has begun one.
    """
    stored = trial.system_attrs.get(_ORIGIN_ATTR, trial.number)
    if type(stored) is int and stored == trial.number:
        return stored
    if type(stored) is int and 0 <= stored < trial.number:
        storage = _optuna.storage(study)
        try:
            study_id = _optuna.study_id(study)
            first = storage.get_trial_id_from_study_id_trial_number(study_id, stored)
            run = storage.get_trial_system_attrs(first).get(RUN_ATTR)
        except KeyError:
            run = _ORIGIN_ATTR  # no run's token
        if run is None or run == trial.system_attrs.get(RUN_ATTR):
            return stored
    _logger.warning(
        f"Trial {trial.number} is said to go on with trial {stored!r:.100}, which is none that it "
        "can go on with: it starts anew."
    )
    return trial.number
