"""Attributes of any length in MySQL and MariaDB.

Optuna keeps attributes as JSON in columns of the type `TEXT`. Elsewhere those have no limit, in
MySQL they end at 65,535 bytes, and the description of a space of 600 parameters does not fit. Such
columns are made wider when the storage is opened. Other programs that use the same tables through
Optuna do not notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from optuna_nas.storages.addresses import without_passwords

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

__all__ = ["allow_long_attributes"]

_DIALECTS = ("mysql", "mariadb")
_COLUMN = "value_json"
_TABLES = (
    "study_user_attributes",
    "study_system_attributes",
    "trial_user_attributes",
    "trial_system_attributes",
)
_NARROW = (
    "SELECT table_name FROM information_schema.columns "
    f"WHERE table_schema = DATABASE() AND column_name = '{_COLUMN}' AND data_type = 'text'"
)
_LOCK_SECONDS = 10

_logger = optuna.logging.get_logger("optuna_nas")


def allow_long_attributes(engine: Engine) -> None:
    """Widen Optuna's columns of attributes; does nothing if the database has no limit.

    A user who may not change tables is told, and goes on with those as they are.
    """
    if engine.dialect.name not in _DIALECTS:
        return
    with engine.connect() as connection:
        found = connection.execute(text(_NARROW)).scalars().all()
        narrow = [table for table in _TABLES if table in found]
        try:
            if narrow:
                # The default is to wait for others' transactions for a day.
                connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
            for table in narrow:
                connection.exec_driver_sql(f"ALTER TABLE {table} MODIFY {_COLUMN} LONGTEXT")
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            reason = without_passwords(str(error.orig))
            _logger.warning(f"Attributes may have 65,535 bytes and no more: {reason}")
