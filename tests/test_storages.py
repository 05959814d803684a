"""Opening storages, on real servers that the tests start themselves (`tests/servers.py`).

`OPTUNA_NAS_TEST_MYSQL` and `OPTUNA_NAS_TEST_REDIS` are addresses of empty databases to use
instead; tests that stop a server do not use them.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from optuna.distributions import CategoricalDistribution
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    JournalStorage,
)
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._grpc.server import make_server
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.storages.journal import JournalRedisBackend
from optuna.trial import TrialState
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from benchmarks.servers import PASSWORD, MariaDBServer, RedisServer, Server
from optuna_nas.storages import (
    GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    MAX_RETRY,
    PatientStorage,
    local_file,
    open_storage,
    opening,
    public_address,
    said_once,
    say_once,
    without_passwords,
)
from optuna_nas.storages.addresses import parse
from optuna_nas.storages.patient import is_passing
from optuna_nas.storages.redis_journal import RedisJournal, is_away
from optuna_nas.storages.retries import RetryInterrupted
from tests.servers import SharedServers

FILES = ["sqlite:///study.db", "study.journal", "folder/study.log"]
SERVERS = ["postgresql", "mysql", "redis"]
ASKED = "ignore:Heartbeat of storage is supposed"


@pytest.fixture(params=[*FILES, *SERVERS])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of a storage without studies; of a file, relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    return named(request, request.param)


@pytest.fixture(params=["sqlite:///study.db", "postgresql", "mysql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of a relational database without studies."""
    monkeypatch.chdir(tmp_path)
    return named(request, request.param)


def named(request: pytest.FixtureRequest, kind: str) -> str:
    if kind not in SERVERS:
        return kind
    address = os.environ.get(f"OPTUNA_NAS_TEST_{kind.upper()}")
    if address is None:
        servers: SharedServers = request.getfixturevalue("shared_servers")
        return servers.database(kind)
    lock = FileLock(Path(tempfile.gettempdir()) / f"optuna-nas-test-{kind}.lock")
    lock.acquire()  # one server for the tests of all processes
    request.addfinalizer(lock.release)
    opened = open_storage(address)
    for study in opened.get_all_studies():
        opened.delete_study(study._study_id)
    return address


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, own_server: Callable[[str], Server]) -> Server:
    """A server of the test's own, which it may stop."""
    return own_server(request.param)


@pytest.fixture
def redis(shared_servers: SharedServers) -> RedisServer:
    """The Redis server of all tests."""
    shared = shared_servers.server("redis")
    assert isinstance(shared, RedisServer)
    return shared


@pytest.fixture
def mariadb(shared_servers: SharedServers) -> MariaDBServer:
    """The MariaDB server of all tests."""
    shared = shared_servers.server("mysql")
    assert isinstance(shared, MariaDBServer)
    return shared


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def database_of(storage: BaseStorage) -> PatientStorage:
    assert isinstance(storage, _CachedStorage)
    assert isinstance(storage._backend, PatientStorage)
    return storage._backend


def objective(trial: optuna.Trial) -> float:
    trial.report(0.5, 0)
    trial.set_user_attr("note", "text")
    return {"a": 1.5, "b": 2.5}[trial.suggest_categorical("op", ["a", "b"])]


def test_what_is_written_is_read_by_the_next_process(address: str) -> None:
    file = local_file(address)
    assert file is None or not file.exists()
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    study.enqueue_trial({"op": "b"})
    study.optimize(objective, n_trials=1)
    study.enqueue_trial({"op": "a"})
    assert file is None or file.exists()

    other = optuna.load_study(study_name="s", storage=open_storage(address))
    finished, waiting = other.trials
    assert finished.state == TrialState.COMPLETE and finished.value == 2.5
    assert finished.intermediate_values == {0: 0.5}
    assert finished.params == {"op": "b"} and finished.user_attrs == {"note": "text"}
    assert waiting.state == TrialState.WAITING
    other.optimize(objective, n_trials=1)
    assert [trial.value for trial in study.trials] == [2.5, 1.5]


def test_a_database_has_a_heartbeat(database: str) -> None:
    storage = open_storage(database)
    assert is_heartbeat_enabled(storage)
    backend = database_of(storage)
    assert backend.get_heartbeat_interval() == HEARTBEAT_SECONDS
    assert backend.grace_period == GRACE_SECONDS > 2 * HEARTBEAT_SECONDS
    retry = backend.get_heartbeat_stale_trial_callback()
    assert isinstance(retry, RetryInterrupted)
    assert retry._max_retry == MAX_RETRY


def test_a_trial_whose_heart_stopped_is_queued_again(database: str) -> None:
    storage = open_storage(database)
    study = optuna.create_study(storage=storage)
    running = optuna.create_trial(
        state=TrialState.RUNNING,
        params={"op": "b"},
        distributions={"op": CategoricalDistribution(["a", "b"])},
    )
    study.add_trial(running)
    backend = database_of(storage)
    backend.record_heartbeat(study.trials[0]._trial_id)
    earlier = {
        "sqlite": f"datetime(heartbeat, '-{GRACE_SECONDS + 5} seconds')",
        "postgresql": f"heartbeat - interval '{GRACE_SECONDS + 5} seconds'",
        "mysql": f"heartbeat - interval {GRACE_SECONDS + 5} second",
    }[backend.engine.dialect.name]
    with backend.engine.begin() as connection:
        connection.execute(text(f"UPDATE trial_heartbeats SET heartbeat = {earlier}"))
    study.optimize(objective, n_trials=1)
    dead, retried = study.trials
    assert dead.state == TrialState.FAIL
    assert retried.state == TrialState.COMPLETE
    assert retried.params == running.params and retried.value == 2.5


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    with database_of(storage).engine.connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 60_000


def test_a_journal_has_no_heartbeat(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "study.journal"))
    assert isinstance(storage, JournalStorage)
    assert not is_heartbeat_enabled(storage)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", r"`storage` is ''; allowed are database addresses such as sqlite:///optuna-nas.db"),
        ("study.db", r"`storage` is 'study.db'; allowed are .* journal files such as"),
        ("sqlite:/study.db", r"`storage` is 'sqlite:/study.db'; allowed are"),
        ("sqlite:///no/such/folder/x.db", r"'sqlite:///no/such/folder/x.db', which cannot be ope"),
        ("no/such/folder/x.journal", r"`storage` is 'no/such/folder/x.journal', which cannot be "),
        ("oracl://host/x", r"`storage` is 'oracl://host/x', which cannot be opened: .*oracl"),
        ("mysql+nodriver://host/x", r"`storage` is 'mysql\+nodriver://host/x', which cannot"),
        ("postgresql://host:port/x", r"`storage` is 'postgresql://host:port/x'; allowed are"),
        ("postgresql://127.0.0.1:1/x", r"'postgresql://127.0.0.1:1/x', which cannot be .*refused"),
        ("mysql://127.0.0.1:1/x", r"`storage` is 'mysql://127.0.0.1:1/x', which cannot be opened"),
        (
            "redis://127.0.0.1:1",
            r"`storage` is 'redis://127.0.0.1:1', which cannot be opened: .*r",
        ),
        (
            "grpc://127.0.0.1:1",
            r"`storage` is 'grpc://127.0.0.1:1', which cannot be opened: GRPC ",
        ),
        (
            "grpc://",
            r"`storage` is 'grpc://', which cannot be opened: it has to be grpc://host:po",
        ),
        ("grpc://host:1/x", r"`storage` is 'grpc://host:1/x', which cannot be opened: it has to "),
        (
            "sqlite:///{0}/{x}.db",
            r"`storage` is 'sqlite:///\{0\}/\{x\}.db', which cannot be ",
        ),
        ("sqlite:///file:x?mode=memory&uri=true", r"in memory, where no other process sees it"),
        ("sqlite://", r"`storage` is 'sqlite://', in memory, where no other process sees it"),
        ("sqlite:///:memory:", r"`storage` is 'sqlite:///:memory:', in memory, where no other"),
    ],
)
def test_an_address_that_cannot_be_opened(
    address: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "_CONNECT_SECONDS", 1)
    with pytest.raises(ValueError, match=message) as error:
        open_storage(address)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are notes, not a database " * 50)
    with pytest.raises(ValueError, match=r"which cannot be opened: file is not a database"):
        open_storage(f"sqlite:///{file}")
    assert file.read_text().startswith("these are notes")


def test_a_database_of_another_version_of_optuna(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'study.db'}"
    storage = open_storage(address)
    with database_of(storage).engine.begin() as connection:
        connection.execute(text("UPDATE version_info SET schema_version = 999"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'v99.9'"))
    with pytest.raises(ValueError, match=r"which cannot be opened: .*version"):
        open_storage(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:s3cret@127.0.0.1:1/nas", "postgresql://ann:***@127.0.0.1:1/nas"),
        ("mysql+pymysql://ann:s3cret@127.0.0.1:1/nas", "mysql+pymysql://ann:***@127.0.0.1:1/nas"),
        ("mariadb://ann:s3cret@127.0.0.1:1/nas", "mariadb://ann:***@127.0.0.1:1/nas"),
        ("redis://ann:s3cret@127.0.0.1:1/0", "redis://ann:***@127.0.0.1:1/0"),
        ("redis://:s3cret@127.0.0.1:1/0", "redis://:***@127.0.0.1:1/0"),
        ("postgresql://ann:s3c:r/et@127.0.0.1:1/nas", "postgresql://ann:***@127.0.0.1:1/nas"),
        ("postgresql://ann:s3cret%40x@127.0.0.1:1/nas", "postgresql://ann:***@127.0.0.1:1/nas"),
        ("postgresql://:s3cret@127.0.0.1:1/nas", "postgresql://:***@127.0.0.1:1/nas"),
        ("postgresql://127.0.0.1:1/nas?user=ann&password=s3cret", None),
        ("postgresql://ann:s3cret@host:port/nas", "postgresql://ann:***@host:port/nas"),
        ("postgresql:/ann:s3cret@host/nas", "postgresql:***@host/nas"),
        ("ann:s3cret@host/nas", "ann:***@host/nas"),
        ("postgresql://ann@corp:s3cret@127.0.0.1:1/x", "postgresql://ann@corp:***@127.0.0.1:1/x"),
        ("postgresql://an/n:s3cret@127.0.0.1:1/x", "postgresql://an/n:***@127.0.0.1:1/x"),
    ],
)
def test_the_password_is_never_shown(address: str, shown: str | None) -> None:
    expected = shown or "postgresql://127.0.0.1:1/nas?user=ann&password=***"
    assert public_address(address) == expected
    with pytest.raises(ValueError, match="`storage` is") as error:
        open_storage(address)  # nobody listens there, or malformed
    assert "s3c" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_the_password_of_what_is_no_file_is_not_shown() -> None:
    with pytest.raises(ValueError, match=r"`storage` is 'sqlite://ann:\*\*\*@host', in memory"):
        open_storage("sqlite://ann:s3cret@host")


@pytest.mark.parametrize(
    "address",
    ["sqlite:///optuna-nas.db", "sqlite:////home/a@b.c/x.db", "study.journal", "nonsense"],
)
def test_what_has_no_password_is_shown_as_it_is(address: str) -> None:
    assert public_address(address) == address


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("sqlite:///a/b.db", "a/b.db"),
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite+pysqlite:///b.db?timeout=3", "b.db"),
        ("b.journal", "b.journal"),
        ("/a/b.log", "/a/b.log"),
        ("postgresql://host/b.log", None),
    ],
)
def test_the_file_of_a_storage(address: str, file: str | None) -> None:
    assert local_file(address) == (None if file is None else Path(file))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "cannot open postgresql://ann:s3cret@host/x now",
            "cannot open postgresql://ann:***@host/x now",
        ),
        ("redis://:s3c@ret@host", "redis://:***@host"),
        ("postgresql://ann@corp:s3cret@host/x", "postgresql://ann@corp:***@host/x"),
        ("host/x?password=s3cret&a=1 failed", "host/x?password=***&a=1 failed"),
        ("host/x?sslpassword=s3cret", "host/x?sslpassword=***"),
        (
            "at 12:30 of https://sqlalche.me/e/20/e3q8)",
            "at 12:30 of https://sqlalche.me/e/20/e3q8)",
        ),
    ],
)
def test_passwords_within_a_text(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_settings_of_a_server(new_database: Callable[[], str]) -> None:
    address = new_database()
    storage = open_storage(address)
    engine = database_of(storage).engine
    assert engine.driver == "psycopg" and engine.pool._pre_ping
    assert engine.pool.size() == 2 and engine.pool._max_overflow == 8  # type: ignore[attr-defined]
    with engine.connect() as connection:
        name = connection.execute(
            text("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        ).scalar()
    assert name == "optuna-nas"
    other = open_storage(f"{address}?application_name=mine&connect_timeout=3")
    with database_of(other).engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar() == "mine"


@pytest.mark.parametrize(
    ("kind", "refused", "absent"),
    [
        ("postgresql", "password authentication failed", r'database "\w+_not" does not exist'),
        ("mysql", "Access denied for user 'ann'@'127.0.0.1'", r"Unknown database '\w+_not'"),
        ("redis", "invalid username-password pair", r"'\d+_not' is no number"),
    ],
)
def test_passwords_of_a_real_server(
    kind: str, refused: str, absent: str, shared_servers: SharedServers
) -> None:
    address = shared_servers.database(kind)
    assert PASSWORD not in address  # it is quoted, and read again
    wrong = address.replace("s3cret", "wr0ng")
    before = time.monotonic()
    for wait in (False, kind == "redis"):
        with pytest.raises(ValueError, match=refused) as error:
            open_storage(wrong, wait=wait)
        assert "wr0ng" not in str(error.value) and str(error.value).count(":***@") == 1
    assert time.monotonic() - before < 10
    with pytest.raises(ValueError, match=absent):
        open_storage(f"{address}_not")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "postgresql://host/x",
            r"postgresql needs psycopg or psycopg2; pip install 'optuna-nas\[p",
        ),
        ("mysql://host/x", r"mysql needs pymysql or MySQLdb; pip install 'optuna-nas\[mysql\]'"),
        (
            "mariadb://host/x",
            r"mariadb needs pymysql or MySQLdb; pip install 'optuna-nas\[mysql\]",
        ),
        ("redis://host", r"Redis needs redis; pip install 'optuna-nas\[redis\]'"),
        ("grpc://host", r"gRPC needs grpcio; pip install 'optuna-nas\[grpc\]'"),
    ],
)
def test_a_driver_that_is_not_installed(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=message):
        open_storage(address)


@pytest.mark.parametrize(
    ("given", "installed", "driver"),
    [
        ("postgresql", "psycopg", "postgresql+psycopg"),
        ("postgresql", "psycopg2", "postgresql+psycopg2"),
        ("postgresql+pg8000", "psycopg2", "postgresql+pg8000"),
        ("mysql", "pymysql", "mysql+pymysql"),
        ("mysql", "MySQLdb", "mysql+mysqldb"),
        ("mariadb", "pymysql", "mariadb+pymysql"),
        ("sqlite", "", "sqlite"),
    ],
)
def test_the_driver_that_is_installed_is_used(
    given: str, installed: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: name == installed or None)
    url = opening._with_driver(parse(f"{given}://host/x"))
    assert url.drivername == driver


def test_a_database_that_is_away_is_waited_for(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_storage(server.database("studies"))
    study = optuna.create_study(storage=storage)
    study.optimize(objective, n_trials=1)
    server.stop()
    timer = threading.Timer(1.5, server.start)
    timer.start()
    study.optimize(objective, n_trials=2)
    timer.join()
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3
    messages = [record.getMessage() for record in caplog.records if record.name == "optuna_nas"]
    assert any("does not answer, tried again for 300 s" in message for message in messages)
    assert "The database answers again." in messages
    assert not any("s3cret" in message for message in messages)


@pytest.mark.parametrize("crash", [False, True])
def test_a_database_that_restarts_again_and_again_loses_nothing(server: Any, crash: bool) -> None:
    address = server.database("studies")
    optuna.create_study(study_name="s", storage=open_storage(address))
    stop, counts = threading.Event(), [0, 0]

    def work(index: int) -> None:
        study = optuna.load_study(study_name="s", storage=open_storage(address, wait=True))
        while not stop.is_set():
            study.optimize(objective, n_trials=1)
            counts[index] += 1

    def more(than: int) -> Callable[[], bool]:
        return lambda: sum(counts) > than or any(worker.done() for worker in workers)

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(work, i) for i in range(2)]
        for _ in range(2):
            wait_for(more(sum(counts) + 2))
            server.restart(pause=0.2, crash=crash)
        wait_for(more(sum(counts) + 2))
        stop.set()
        for worker in workers:
            worker.result(timeout=60)
    done = sum(counts)
    trials = optuna.load_study(study_name="s", storage=open_storage(address)).trials
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    assert len(finished) == done > 6
    # Of a trial that was made when the connection broke, nobody knows.
    assert all(t.state == TrialState.RUNNING and not t.params for t in trials if t not in finished)
    assert all(t.intermediate_values == {0: 0.5} for t in finished)


@pytest.mark.filterwarnings(ASKED)
def test_patience_ends(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.5)
    address = server.database("studies")
    storage = open_storage(address)
    study = optuna.create_study(storage=storage)
    server.stop()
    before = time.monotonic()
    with pytest.raises(Exception, match=r"commit|refused") as error:
        study.ask()
    assert is_passing(error.value, sqlite=False) or is_away(error.value)
    with pytest.raises(ValueError, match="which cannot be opened"):
        open_storage(address)
    with pytest.raises(ValueError, match="which cannot be opened"):
        open_storage(address, wait=True)
    assert 1 < time.monotonic() - before < 10


@pytest.mark.filterwarnings(ASKED)
def test_errors_that_do_not_pass_are_not_waited_for(database: str) -> None:
    study = optuna.create_study(storage=open_storage(database))
    trial = study.ask()
    before = time.monotonic()
    with pytest.raises((optuna.exceptions.StorageInternalError, TypeError)):
        trial.set_user_attr("bad", object())
    with pytest.raises(KeyError):
        study._storage.get_trial(10**6)
    study.tell(trial, 1.0)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    assert time.monotonic() - before < 2


def broken(times: int, operation: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """An operation whose connection breaks the first times, after or before it is done."""
    left = [times]

    def call(*arguments: Any, **keywords: Any) -> Any:
        result = operation(*arguments, **keywords) if after or not left[0] else None
        if left[0]:
            left[0] -= 1
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))
        return result

    return call


@pytest.mark.filterwarnings(ASKED)
def test_a_trial_that_was_told_when_the_connection_broke(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(storage=open_storage(new_database()))
    trial = study.ask()
    operation = optuna.storages.RDBStorage.set_trial_state_values
    lost = broken(1, operation, after=True)
    monkeypatch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", lost)
    study.tell(trial, 2.0)
    assert study.trials[0].state == TrialState.COMPLETE and study.trials[0].value == 2.0


@pytest.mark.filterwarnings(ASKED)
def test_names_are_told_apart_by_case_and_may_have_any_letters(address: str) -> None:
    for name in ("Größe 中", "cells", "Cells"):
        study = optuna.create_study(study_name=name, storage=open_storage(address))
        trial = study.ask()
        trial.suggest_categorical("op", ["a", "b"])
        trial.suggest_int("OP", 5, 9)
        trial.set_user_attr("ä", "中")
        trial.set_user_attr("Ä", name)
        study.tell(trial, 0.1 + 0.2)
        [found] = optuna.load_study(study_name=name, storage=open_storage(address)).trials
        assert found.value == 0.1 + 0.2 and found.params == trial.params
        assert len(found.params) == 2 and found.user_attrs == {"ä": "中", "Ä": name}


def test_an_attribute_may_be_long(address: str) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    long = {"text": "x" * 200_000}
    study.set_user_attr("long", long)
    study._storage.set_study_system_attr(study._study_id, "long", long)
    trial = optuna.create_trial(value=0.1, user_attrs=long, system_attrs=long)
    study.add_trial(trial)
    other = optuna.load_study(study_name="s", storage=open_storage(address))
    assert other.user_attrs["long"] == long
    assert other._storage.get_study_system_attrs(other._study_id)["long"] == long
    [found] = other.trials
    assert found.user_attrs == found.system_attrs == long and found.value == 0.1


def test_a_user_who_may_not_make_attributes_longer(
    mariadb: MariaDBServer, caplog: pytest.LogCaptureFixture
) -> None:
    address = mariadb.database("narrow")
    optuna.storages.RDBStorage(address.replace("mysql:", "mysql+pymysql:"))
    mariadb.execute(
        "CREATE USER bob IDENTIFIED BY 's3cret'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON narrow.* TO bob",
    )
    url = parse(address).set(username="bob", password="s3cret")
    study = optuna.create_study(storage=open_storage(url.render_as_string(hide_password=False)))
    study.optimize(objective, n_trials=1)
    [message] = [r.getMessage() for r in caplog.records if r.name == "optuna_nas"]
    assert "65,535 bytes and no more" in message and "ALTER command denied" in message
    caplog.clear()
    for _ in range(2):  # once they are long, nothing is left to be done
        open_storage(address)
    assert not [r for r in caplog.records if r.name == "optuna_nas"]


def test_of_two_workers_one_takes_a_waiting_trial(address: str) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    for _ in range(5):
        study.enqueue_trial({"op": "a"})
    numbers = [trial._trial_id for trial in study.trials]
    start = threading.Barrier(3)

    def take() -> list[bool]:
        storage = open_storage(address)
        taken = []
        for number in numbers:
            start.wait(60)
            taken.append(storage.set_trial_state_values(number, TrialState.RUNNING))
        return taken

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(take) for _ in range(3)]
        taken = [worker.result() for worker in workers]
    assert [sum(one) for one in zip(*taken, strict=True)] == [1] * 5


def test_a_worker_may_pickle_its_storage(database: str) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(database))
    copy = pickle.loads(pickle.dumps(study._storage))
    other = optuna.load_study(study_name="s", storage=copy)
    other.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.COMPLETE


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "sqlite"])
def test_several_processes_may_make_the_tables_at_once(
    kind: str, tmp_path: Path, shared_servers: SharedServers
) -> None:
    for number in range(3):
        address = f"sqlite:///{tmp_path / f'{number}.db'}"
        if kind in SERVERS:
            address = shared_servers.database(kind)
        with ThreadPoolExecutor(4) as pool:
            opened = [pool.submit(open_storage, address) for _ in range(4)]
            assert all(one.result().get_all_studies() == [] for one in opened)


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///{folder}/x.db?timeout=soon",
        "postgresql://127.0.0.1:1/x?connect_timeout=soon",
        "postgresql://127.0.0.1:1/x?no_such_option=1",
        "redis+x://127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?no_such_option=1",
    ],
)
def test_options_that_a_driver_does_not_know(address: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`storage` is .*, which cannot be opened: "):
        open_storage(address.format(folder=tmp_path))


def test_a_short_password_is_not_told_by_what_is_hidden() -> None:
    with pytest.raises(ValueError, match="connection failed") as error:
        open_storage("postgresql://ann:a@127.0.0.1:1/x")
    assert "ann:***@" in str(error.value)


@pytest.mark.filterwarnings(ASKED)
def test_nobody_is_dead_right_after_the_database_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = database_of(open_storage(f"sqlite:///{tmp_path / 'study.db'}"))
    study = optuna.create_study(storage=storage)
    trial_id = study.ask()._trial_id
    monkeypatch.setattr(
        optuna.storages.RDBStorage, "_get_stale_trial_ids", lambda self, study_id: [trial_id]
    )
    assert storage._get_stale_trial_ids(study._study_id) == [trial_id]
    locked = OperationalError("COMMIT", {}, Exception("database is locked"))
    answers = iter([locked, None])

    def away() -> None:
        if (error := next(answers)) is not None:
            raise error

    storage._patiently(away)
    assert storage._get_stale_trial_ids(study._study_id) == []
    now = time.monotonic() + HEARTBEAT_SECONDS + 6  # by then each has sent a heartbeat
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert storage._get_stale_trial_ids(study._study_id) == [trial_id]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """The address of a gRPC proxy in front of an SQLite file."""
    server = make_server(open_storage(f"sqlite:///{tmp_path / 'study.db'}"), "127.0.0.1", 0)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}"
    server.stop(None)


def test_a_proxy(proxy: str, tmp_path: Path) -> None:
    storage = open_storage(proxy)
    assert isinstance(storage, GrpcStorageProxy)
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(objective, n_trials=3)
    behind = optuna.load_study(
        study_name="s", storage=open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    )
    assert [t.value for t in behind.trials] == [t.value for t in study.trials]
    assert local_file(proxy) is None


class Bomb:
    """What ends the program when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, ("It was unpickled.",)


def test_nothing_in_redis_is_unpickled(redis: RedisServer) -> None:
    address = redis.database("studies")
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    client = redis.client(address)
    snapshot = pickle.dumps(Bomb())
    client.set(":snapshot", snapshot)
    study.optimize(objective, n_trials=120)  # Optuna's own journal has a snapshot after 100
    other = optuna.load_study(study_name="s", storage=open_storage(address))
    assert [t.value for t in other.trials] == [t.value for t in study.trials]
    assert client.get(":snapshot") == snapshot


@pytest.mark.filterwarnings("ignore:JournalRedisBackend is experimental")
def test_optuna_reads_our_journal_in_redis_and_we_read_its(redis: RedisServer) -> None:
    address = redis.database("studies")
    ours = optuna.create_study(study_name="s", storage=open_storage(address))
    ours.optimize(objective, n_trials=2)
    its = optuna.load_study(study_name="s", storage=JournalStorage(JournalRedisBackend(address)))
    its.optimize(objective, n_trials=2)
    ours.optimize(objective, n_trials=1)
    assert [t.value for t in its.trials] == [t.value for t in ours.trials]
    assert [t.state for t in ours.trials] == [TrialState.COMPLETE] * 5


def test_what_redis_did_when_the_connection_broke_is_done_once(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = RedisJournal(redis.database("studies"), patience=5)
    client = journal._redis
    evaluate, answers = client.eval, iter([True, True, False, True, False])

    def lost(*arguments: Any) -> None:
        evaluate(*arguments)
        if next(answers):
            raise RedisConnectionError("Connection closed by server.")

    monkeypatch.setattr(client, "eval", lost)
    journal.append_logs([{"a": 1}, {"a": "ü"}])
    journal.append_logs([{"a": 1}])
    assert list(journal.read_logs(0)) == [{"a": 1}, {"a": "ü"}, {"a": 1}]
    assert list(journal.read_logs(2)) == [{"a": 1}]
    assert list(pickle.loads(pickle.dumps(journal)).read_logs(3)) == []


def test_a_long_journal_in_redis(redis: RedisServer) -> None:
    journal = RedisJournal(redis.database("studies"), patience=5)
    entries = [{"n": n} for n in range(2500)]
    journal.append_logs(entries[:1200])
    journal.append_logs(entries[1200:])
    for start in (0, 999, 1000, 2499, 2500):
        assert list(journal.read_logs(start)) == entries[start:]


def test_a_redis_that_does_not_keep_its_data(redis: RedisServer) -> None:
    address = redis.database("studies")
    study = optuna.create_study(storage=open_storage(address))
    study.optimize(objective, n_trials=1)
    redis.client(address).flushdb()
    with pytest.raises(optuna.exceptions.StorageInternalError, match=r"has lost \d+ entries"):
        study.ask()


def test_a_redis_that_drops_what_it_has_no_memory_for(redis: RedisServer) -> None:
    address = redis.database("studies")
    journal = RedisJournal(address, patience=0.3)
    journal.append_logs([{"n": n} for n in range(3)])
    redis.client(address).delete(":log:1")
    with pytest.raises(optuna.exceptions.StorageInternalError, match=r"Entry 1 .* noeviction"):
        list(journal.read_logs(0))


def said_at_once(address: str, count: int) -> tuple[list[Any], Any]:
    """What each of several processes hears that say something at once, and what stands."""
    start = threading.Barrier(count)

    def say(number: int) -> Any:
        opened = open_storage(address)  # connections of its own
        study = optuna.load_study(study_name="s", storage=opened)
        start.wait()
        return say_once(study, "words", {"number": number})

    with ThreadPoolExecutor(count) as pool:
        heard = list(pool.map(say, range(count)))
    study = optuna.load_study(study_name="s", storage=open_storage(address))
    return heard, study.user_attrs["words"]


def test_one_of_many_is_heard(address: str) -> None:
    storage = open_storage(address)
    for _ in range(5):
        study = optuna.create_study(study_name="s", storage=storage)
        heard, stands = said_at_once(address, 4)
        assert heard == [stands] * 4
        assert stands["number"] in range(4)
        assert say_once(study, "words", "too late") == stands
        assert study.user_attrs == {"words": stands}
        optuna.delete_study(study_name="s", storage=storage)


def test_what_was_said_stands_through_a_proxy(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said_once, "_SETTLED_SECONDS", 0.01)
    study = optuna.create_study(study_name="s", storage=open_storage(proxy))
    assert say_once(study, "words", {"number": 0}) == {"number": 0}
    assert say_once(study, "words", {"number": 1}) == {"number": 0}


def test_who_died_behind_its_claim_has_said_it(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(str(tmp_path / "study.journal")))
    study._storage.set_study_system_attr(study._study_id, "words:claim:0", "the first")
    assert say_once(study, "words", "the second") == "the first"
    assert study.user_attrs["words"] == "the first"
