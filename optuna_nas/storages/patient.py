"""A relational storage that waits for a database that is away for a while.

A database server is restarted, a network is gone for a minute, two workers write to one SQLite
file at once: none of that should end a search of days.

1. Every operation of the storage is one transaction. One that fails because the database cannot be
   reached, is shutting down or is locked changed nothing, and is tried again, after 0.1 seconds
   and then ever longer up to 5, until it succeeds or the patience is over.
2. If the connection broke just when a transaction was committed, it cannot be known whether it
   was. Settings are simply made again. A trial that finished in that moment is found finished in
   the same state, and that is what was wanted. A trial that was created in that moment is
   nobody's: :func:`optuna_nas.trials.recover_interrupted` finds it after the grace period. One
   that was queued in that moment may be queued twice.
3. While the database was away, nobody's heartbeat could be heard. So right after that no worker
   is taken for dead. Nor is one right after the database's clock was set, which shows by the clock
   of this process, and never one that is seen to be alive on this machine.
4. SQLite lets two processes read that a trial is waiting before either has said that it takes it,
   and both would run it. There a change of a trial's state takes the lock for writing before it
   reads.
"""

from __future__ import annotations

import functools
import json
import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
)

from optuna_nas import _optuna
from optuna_nas.storages.heartbeats import database_time
from optuna_nas.storages.patience import LONGEST_PAUSE_SECONDS, Patience
from optuna_nas.storages.workers import Fate, worker_fate

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__ = ["PatientStorage", "is_passing"]

_CLOCK_TOLERANCE_SECONDS = 30.0


def is_passing(error: BaseException, *, sqlite: bool) -> bool:
    """Whether an error of a database may be gone when the same is tried again.

    Args:
        error: What Optuna or SQLAlchemy raised.
        sqlite: Whether the database is a file, which is not restarted: it can only be locked.
    """
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, PendingRollbackError):  # what Optuna does after a broken connection
        return not sqlite
    if not isinstance(cause, DBAPIError):
        return False
    if sqlite:
        return "locked" in str(cause.orig) or "busy" in str(cause.orig)
    return cause.connection_invalidated or isinstance(cause, (OperationalError, InterfaceError))


class PatientStorage(RDBStorage):
    """A relational storage whose operations wait while the database is away.

    Args:
        url: The database's address, as SQLAlchemy reads it.
        patience: How many seconds an operation is tried again.
        **options: Those of :class:`optuna.storages.RDBStorage`.
    """

    def __init__(self, url: str, *, patience: float, **options: Any) -> None:
        sqlite = url.startswith("sqlite")
        self._patiently = Patience(patience, functools.partial(is_passing, sqlite=sqlite))
        self._thread = threading.local()
        self._clock = math.inf
        try:
            super().__init__(url, **options)
        except Exception:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise
        self._attend()

    def _attend(self) -> None:
        weakref.finalize(self, self.engine.dispose)  # servers have few connections
        thread = self._thread  # not this object, which would never be freed

        def begin(connection: Connection) -> None:
            if getattr(thread, "exclusive", False):
                connection.exec_driver_sql("BEGIN IMMEDIATE")

        if self.engine.dialect.name == "sqlite":
            sqlalchemy.event.listen(self.engine, "begin", begin)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change the state of a trial; see :class:`optuna.storages.BaseStorage`."""
        attempts = 0

        def change() -> bool:
            nonlocal attempts
            attempts += 1
            self._thread.exclusive = True
            try:
                return RDBStorage.set_trial_state_values(self, trial_id, state, values)
            except UpdateFinishedTrialError:
                if attempts > 1 and RDBStorage.get_trial(self, trial_id).state == state:
                    return True  # by the attempt that was not heard of
                raise
            finally:
                self._thread.exclusive = False

        return self._patiently(change)

    def add_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study, unless it has one of that name; in one step."""
        row = {"study_id": study_id, "key": key, "value_json": json.dumps(value)}

        def insert() -> None:
            with suppress(IntegrityError), self.engine.begin() as connection:
                connection.execute(sqlalchemy.insert(_optuna.StudyUserAttributeModel).values(row))

        self._patiently(insert)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        stale = self._patiently(lambda: RDBStorage._get_stale_trial_ids(self, study_id))
        self._look_at_the_clock()
        silence = (self.heartbeat_interval or 0) + LONGEST_PAUSE_SECONDS
        if time.monotonic() - self._patiently.disturbed < silence:
            return []
        return [i for i in stale if worker_fate(self.get_trial(i)) != Fate.ALIVE]

    def _look_at_the_clock(self) -> None:
        """Notice that heartbeats look old because the database's clock was set."""
        there = self._patiently(lambda: database_time(self)).timestamp() - time.monotonic()
        if there - self._clock > _CLOCK_TOLERANCE_SECONDS:
            self._patiently.disturbed = time.monotonic()
        self._clock = there

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_thread"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._thread = threading.local()
        self._clock = math.inf
        super().__setstate__(state)
        self._attend()


def _patient(name: str) -> Callable[..., Any]:
    operation = getattr(RDBStorage, name)

    @functools.wraps(operation)
    def call(self: PatientStorage, *arguments: Any, **keywords: Any) -> Any:
        return self._patiently(lambda: operation(self, *arguments, **keywords))

    return call


# Each of these is one transaction, or only calls others of these.
for _name in (
    "create_new_study",
    "delete_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "_create_new_trial",
    "_set_trial_param",
    "get_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial_user_attrs",
    "get_trial_system_attrs",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "_get_trials",
    "_get_best_trial_id",
    "record_heartbeat",
):
    setattr(PatientStorage, _name, _patient(_name))
