"""Opening the storage of a study from its address, set up for workers that come and go.

- Relational databases (SQLite, PostgreSQL, MySQL, MariaDB) get a heartbeat: a trial whose worker
  vanished, on any machine, is queued again after a grace period and goes on from its checkpoint.
  They are waited for when they are away (:mod:`optuna_nas.storages.patient`). Connections are
  tested before they are used; a server that cannot be reached is given up after ten seconds, one
  that falls silent after a minute.
- A journal is a file, or in Redis, which is waited for as databases are
  (:mod:`optuna_nas.storages.redis_journal`).
- A gRPC proxy (`optuna.storages.run_grpc_proxy_server`) stands before a database that workers
  cannot reach themselves.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    JournalStorage,
    get_storage,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from optuna_nas.storages.addresses import (
    ALLOWED,
    is_journal,
    parse,
    public_address,
    without_passwords,
)
from optuna_nas.storages.file_journal import FileJournal
from optuna_nas.storages.long_attributes import allow_long_attributes
from optuna_nas.storages.patient import PatientStorage, is_passing
from optuna_nas.storages.retries import MAX_RETRY, RetryInterrupted

__all__ = [
    "GRACE_SECONDS",
    "HEARTBEAT_SECONDS",
    "MAX_RETRY",
    "PATIENCE_SECONDS",
    "open_storage",
]

HEARTBEAT_SECONDS = 20
GRACE_SECONDS = 120
PATIENCE_SECONDS = 300

_CONNECT_SECONDS = 10
_SILENCE_SECONDS = 60
_SQLITE_TIMEOUT_SECONDS = 60
_PAUSE_SECONDS = 0.5
_GRPC_PORT = 13000
_SHORTEST_PASSWORD = 4
_TABLE_MAKERS = 3

# Drivers in order of preference: SQLAlchemy's name and the module. SQLAlchemy has one default for
# each database, which need not be the one that is installed.
_MYSQL_DRIVERS = {"pymysql": "pymysql", "mysqldb": "MySQLdb"}
_DRIVERS = {
    "postgresql": {"psycopg": "psycopg", "psycopg2": "psycopg2"},
    "mysql": _MYSQL_DRIVERS,
    "mariadb": _MYSQL_DRIVERS,
}
_EXTRAS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}

# A server that is gone without a word is noticed within a minute.
_LIBPQ = {
    "connect_timeout": _CONNECT_SECONDS,
    "application_name": "optuna-nas",
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * _SILENCE_SECONDS,
}
_MYSQL = {
    "connect_timeout": _CONNECT_SECONDS,
    "read_timeout": _SILENCE_SECONDS,
    "write_timeout": _SILENCE_SECONDS,
}
_CONNECT_OPTIONS: dict[str, dict[str, Any]] = {
    "pysqlite": {"timeout": _SQLITE_TIMEOUT_SECONDS},
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": _MYSQL,
    "mysqldb": _MYSQL,
}


def open_storage(address: str, *, wait: bool = False) -> BaseStorage:
    """Open a storage.

    Args:
        address: A database such as `sqlite:///optuna-nas.db` or
            `postgresql://user:password@host/name`, the path of a journal file that ends in
            `.journal` or `.log`, `redis://host:6379`, or `grpc://host:13000`.
        wait: Whether to wait for a database that does not answer, as long as its operations do.

    Raises:
        ValueError: The address is malformed, its driver is not installed, the server cannot be
            reached or the database is of another version of Optuna, or it is in memory, where
            other processes cannot see it. The message does not show the password.
    """
    url = None if is_journal(address) else parse(address)
    file = url is None or url.get_backend_name() == "sqlite"
    end = time.monotonic() + (PATIENCE_SECONDS if wait else 0)
    while True:
        try:
            if url is None:
                return JournalStorage(FileJournal(address))
            return _OPENERS.get(url.get_backend_name(), _open_database)(url)
        except Exception as error:
            if not isinstance(error, _failures()):
                raise
            if time.monotonic() > end or not (
                is_passing(error, sqlite=file) or _redis_is_away(error)
            ):
                # Optuna says that a driver is missing, and the cause of its error which one.
                said = str(error.__cause__ or "") or str(error)
                reason = _without_password(said.partition("\n")[0], url)
                raise ValueError(
                    f"`storage` is {public_address(address)!r}, which cannot be opened: {reason}"
                ) from None
        time.sleep(_PAUSE_SECONDS)


def _failures() -> tuple[type[Exception], ...]:
    """What the drivers raise; those of Redis only if there are any."""
    kinds: tuple[type[Exception], ...] = (ImportError, OSError, RuntimeError)
    kinds += (TypeError, ValueError)  # of options in the address that a driver does not know
    kinds += (AssertionError, LookupError)  # of records of a journal that are none of Optuna's
    kinds += (SQLAlchemyError, StorageInternalError)
    if find_spec("redis") is None:
        return kinds
    from redis.exceptions import RedisError

    return (*kinds, RedisError)


def _redis_is_away(error: Exception) -> bool:
    if find_spec("redis") is None:
        return False
    from optuna_nas.storages.redis_journal import is_away

    return is_away(error)


def _without_password(text: str, url: URL | None) -> str:
    if url is None or not url.password:
        return text
    text = without_passwords(text.replace(url.render_as_string(hide_password=False), "***"))
    # A short one would be found in other words, and so be told.
    hidden = len(str(url.password)) >= _SHORTEST_PASSWORD
    return text.replace(str(url.password), "***") if hidden else text


def _open_database(url: URL) -> BaseStorage:
    url = _with_driver(url)
    for _ in range(_TABLE_MAKERS):  # of processes that make the tables at once, all but one fail
        try:
            return _ready(_database(url))
        except (IntegrityError, ProgrammingError):
            pass
        except OperationalError as error:  # what SQLite and MySQL say of the same
            if "already exists" not in str(error.orig):
                raise
        time.sleep(_PAUSE_SECONDS)
    return _ready(_database(url))


def _ready(database: PatientStorage) -> BaseStorage:
    allow_long_attributes(database.engine)
    return get_storage(database)  # with Optuna's cache of finished trials


def _database(url: URL) -> PatientStorage:
    server = url.get_backend_name() != "sqlite"
    # What the address says itself is not overruled.
    options = {
        name: value
        for name, value in _CONNECT_OPTIONS.get(_driver(url), {}).items()
        if name not in url.query
    }
    # A worker has one connection for its trial and one for its heartbeat.
    pool = {"pool_size": 2, "max_overflow": 8, "pool_recycle": 1800} if server else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PatientStorage(
            # Optuna fills in what stands in braces.
            url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}"),
            patience=PATIENCE_SECONDS,
            engine_kwargs={"pool_pre_ping": True, "connect_args": options, **pool},
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
            heartbeat_stale_trial_callback=RetryInterrupted(MAX_RETRY),
        )


def _with_driver(url: URL) -> URL:
    """The address with the driver that is installed, if it does not name one.

    Raises:
        ImportError: None is installed.
    """
    backend = url.get_backend_name()
    drivers = _DRIVERS.get(backend)
    if drivers is None or "+" in url.drivername:
        return url
    for name, module in drivers.items():
        if find_spec(module) is not None:
            return url.set(drivername=f"{backend}+{name}")
    raise ImportError(_missing(backend, list(drivers.values()), _EXTRAS[backend]))


def _driver(url: URL) -> str:
    return "pysqlite" if url.drivername == "sqlite" else url.drivername.partition("+")[2]


def _missing(what: str, modules: list[str], extra: str) -> str:
    return f"{what} needs {' or '.join(modules)}; pip install 'optuna-nas[{extra}]'"


def _open_redis(url: URL) -> BaseStorage:
    if find_spec("redis") is None:
        raise ImportError(_missing("Redis", ["redis"], "redis"))
    if url.database and not url.database.isdecimal():  # the client would take the first one
        raise OSError(f"Redis numbers its databases, {url.database!r} is no number")
    seconds = str(_CONNECT_SECONDS)
    options = {
        "socket_connect_timeout": seconds,
        "socket_timeout": str(_SILENCE_SECONDS),
        "health_check_interval": "30",
        **url.query,
    }
    from optuna_nas.storages.redis_journal import RedisJournal

    text = url.set(query=options).render_as_string(hide_password=False)
    return JournalStorage(RedisJournal(text, patience=PATIENCE_SECONDS))


def _open_proxy(url: URL) -> BaseStorage:
    if find_spec("grpc") is None or find_spec("google.protobuf") is None:
        raise ImportError(_missing("gRPC", ["grpcio"], "grpc"))
    if not url.host or url.database or url.username:
        raise OSError(f"it has to be grpc://host:port; {ALLOWED}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy = GrpcStorageProxy(host=url.host, port=url.port or _GRPC_PORT)
    proxy.wait_server_ready(timeout=_CONNECT_SECONDS)
    return proxy


_OPENERS: dict[str, Callable[[URL], BaseStorage]] = {
    "redis": _open_redis,
    "rediss": _open_redis,
    "grpc": _open_proxy,
}
