"""What Optuna's tables say of heartbeats."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage

from optuna_nas import _optuna

__all__ = ["database_time", "has_heartbeat"]


def has_heartbeat(storage: BaseStorage, trial_id: int) -> bool:
    """Whether a trial has a heartbeat, so that its worker's death will show by it."""
    backend = _optuna.backend(storage)
    if not isinstance(backend, RDBStorage) or backend.heartbeat_interval is None:
        return False
    with backend.scoped_session() as session:
        return _optuna.TrialHeartbeatModel.where_trial_id(trial_id, session) is not None


def database_time(storage: RDBStorage) -> datetime:
    """The time by the clock that heartbeats are counted by: a server's own, or this machine's."""
    with storage.engine.connect() as connection:
        now: datetime = connection.execute(sqlalchemy.select(sqlalchemy.func.now())).scalar_one()
    return now.replace(tzinfo=None)
