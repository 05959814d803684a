"""Opening the storage of a study from its address, set up for workers that come and go.

Relational databases get a heartbeat: a trial whose worker vanished, on any machine, is queued
again after a grace period and goes on from its checkpoint.
"""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
    get_storage,
)
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

HEARTBEAT_SECONDS = 20
GRACE_SECONDS = 120
MAX_RETRY = 3

_JOURNAL_SUFFIXES = (".journal", ".log")
_SQLITE_TIMEOUT_SECONDS = 60


def open_storage(address: str) -> BaseStorage:
    """Open a storage.

    Args:
        address: A database such as `sqlite:///optuna-nas.db` or
            `postgresql://user:password@host/name`, or the path of a journal file that ends in
            `.journal` or `.log`.

    Raises:
        ValueError: The address is malformed, its driver is not installed, or the database cannot
            be reached. The message does not show the password.
    """
    if address.endswith(_JOURNAL_SUFFIXES):
        return JournalStorage(JournalFileBackend(address))
    try:
        url = make_url(address)
    except ArgumentError:
        raise ValueError(
            f"`storage` is {address!r}; allowed are database addresses such as "
            "sqlite:///optuna-nas.db and journal files such as optuna-nas.journal."
        ) from None
    sqlite = url.get_backend_name() == "sqlite"
    options = {"connect_args": {"timeout": _SQLITE_TIMEOUT_SECONDS}} if sqlite else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = RDBStorage(
                address,
                engine_kwargs={"pool_pre_ping": True, **options},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(MAX_RETRY),
            )
    except (ImportError, SQLAlchemyError) as error:
        reason = str(error).splitlines()[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        raise ValueError(
            f"`storage` {public_address(address)} cannot be opened: {reason}"
        ) from None
    return get_storage(storage)  # with Optuna's cache of finished trials


def public_address(address: str) -> str:
    """The address with its password hidden."""
    try:
        return make_url(address).render_as_string(hide_password=True)
    except ArgumentError:
        return address
