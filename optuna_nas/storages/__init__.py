"""Where studies are stored: opened from one address, ready for workers that come and go."""

from __future__ import annotations

from optuna_nas.storages.addresses import local_file, public_address, without_passwords
from optuna_nas.storages.opening import (
    GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    PATIENCE_SECONDS,
    open_storage,
)
from optuna_nas.storages.patient import PatientStorage
from optuna_nas.storages.retries import MAX_RETRY
from optuna_nas.storages.said_once import say_once
from optuna_nas.storages.shown import show_constraints

__all__ = [
    "GRACE_SECONDS",
    "HEARTBEAT_SECONDS",
    "MAX_RETRY",
    "PATIENCE_SECONDS",
    "PatientStorage",
    "local_file",
    "open_storage",
    "public_address",
    "say_once",
    "show_constraints",
    "without_passwords",
]
