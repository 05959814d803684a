"""Opening the storage of a study from its address, set up for workers that come and go.

Relational databases get a heartbeat: a trial whose worker vanished, on any machine, is queued
again after a grace period and goes on from its checkpoint.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from optuna.exceptions import ExperimentalWarning
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
    get_storage,
)
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

HEARTBEAT_SECONDS = 20
GRACE_SECONDS = 120
MAX_RETRY = 3

_JOURNAL_SUFFIXES = (".journal", ".log")
_SQLITE_TIMEOUT_SECONDS = 60
_ALLOWED = (
    "allowed are database addresses such as sqlite:///optuna-nas.db and journal files such as "
    "optuna-nas.journal"
)


def open_storage(address: str) -> BaseStorage:
    """Open a storage.

    Args:
        address: A database such as `sqlite:///optuna-nas.db` or
            `postgresql://user:password@host/name`, or the path of a journal file that ends in
            `.journal` or `.log`.

    Raises:
        ValueError: The address is malformed, its driver is not installed, the database cannot be
            reached or is of another version of Optuna, or it is in memory, where other processes
            cannot see it. The message does not show the password.
    """
    url = None if _is_journal(address) else _parse(address)
    try:
        return _open_journal(address) if url is None else _open_database(address, url)
    except (ImportError, OSError, RuntimeError, SQLAlchemyError) as error:
        # Optuna says that a driver is missing, and the cause of its error which one.
        reason = str(error.__cause__ or error).partition("\n")[0]
        if url is not None and url.password:
            reason = reason.replace(str(url.password), "***")
        raise ValueError(
            f"`storage` is {public_address(address)!r}, which cannot be opened: {reason}"
        ) from None


def local_file(address: str) -> Path | None:
    """The file that a storage is in; None for a database server.

    Raises:
        ValueError: The address is malformed.
    """
    if _is_journal(address):
        return Path(address)
    url = _parse(address)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def public_address(address: str) -> str:
    """The address with its password hidden, also if it is malformed."""
    text = re.sub(r"([?&]password=)[^&]*", r"\1***", address)
    if "://" in text:
        return re.sub(r"(://[^:@/]*):.*@", r"\1:***@", text, count=1)
    return re.sub(r":.*@", ":***@", text)


def _is_journal(address: str) -> bool:
    return "://" not in address and address.endswith(_JOURNAL_SUFFIXES)


def _parse(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ValueError(f"`storage` is {public_address(address)!r}; {_ALLOWED}.") from None
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError(
            f"`storage` is {address!r}, in memory, where no other process sees it; {_ALLOWED}."
        )
    return url


def _open_journal(path: str) -> BaseStorage:
    return JournalStorage(JournalFileBackend(path))


def _open_database(address: str, url: URL) -> BaseStorage:
    sqlite = url.get_backend_name() == "sqlite"
    options = {"connect_args": {"timeout": _SQLITE_TIMEOUT_SECONDS}} if sqlite else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = RDBStorage(
            address,
            engine_kwargs={"pool_pre_ping": True, **options},
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(MAX_RETRY),
        )
    return get_storage(storage)  # with Optuna's cache of finished trials
