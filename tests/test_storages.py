from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.trial import TrialState
from sqlalchemy import text

from optuna_nas.storages import (
    GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    MAX_RETRY,
    local_file,
    open_storage,
    public_address,
)


@pytest.fixture(params=["sqlite:///study.db", "study.journal", "folder/study.log"])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of a storage that does not exist yet, relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    return str(request.param)


def database_of(storage: BaseStorage) -> optuna.storages.RDBStorage:
    assert isinstance(storage, _CachedStorage)
    return storage._backend


def objective(trial: optuna.Trial) -> float:
    trial.report(0.5, 0)
    trial.set_user_attr("note", "text")
    return {"a": 1.5, "b": 2.5}[trial.suggest_categorical("op", ["a", "b"])]


def test_what_is_written_is_read_by_the_next_process(address: str) -> None:
    file = local_file(address)
    assert file is not None and not file.exists()
    study = optuna.create_study(study_name="s", storage=open_storage(address))
    study.enqueue_trial({"op": "b"})
    study.optimize(objective, n_trials=1)
    study.enqueue_trial({"op": "a"})
    assert file.exists()

    other = optuna.load_study(study_name="s", storage=open_storage(address))
    finished, waiting = other.trials
    assert finished.state == TrialState.COMPLETE and finished.value == 2.5
    assert finished.intermediate_values == {0: 0.5}
    assert finished.params == {"op": "b"} and finished.user_attrs == {"note": "text"}
    assert waiting.state == TrialState.WAITING
    other.optimize(objective, n_trials=1)
    assert [trial.value for trial in study.trials] == [2.5, 1.5]


def test_a_database_has_a_heartbeat(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    assert is_heartbeat_enabled(storage)
    database = database_of(storage)
    assert database.get_heartbeat_interval() == HEARTBEAT_SECONDS
    assert database.grace_period == GRACE_SECONDS > 2 * HEARTBEAT_SECONDS
    retry = database.get_heartbeat_stale_trial_callback()
    assert isinstance(retry, RetryHeartbeatStaleTrialCallback)
    assert retry._max_retry == MAX_RETRY


def test_a_trial_whose_heart_stopped_is_queued_again(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=storage)
    running = optuna.create_trial(
        state=TrialState.RUNNING,
        params={"op": "b"},
        distributions={"op": CategoricalDistribution(["a", "b"])},
    )
    study.add_trial(running)
    database = database_of(storage)
    database.record_heartbeat(study.trials[0]._trial_id)
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE trial_heartbeats SET heartbeat = "
                f"datetime(heartbeat, '-{GRACE_SECONDS + 5} seconds')"
            )
        )
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
        ("study.db", r"`storage` is 'study.db'; allowed are .* and journal files such as"),
        ("sqlite:/study.db", r"`storage` is 'sqlite:/study.db'; allowed are"),
        ("sqlite:///no/such/folder/x.db", r"'sqlite:///no/such/folder/x.db', which cannot be ope"),
        ("no/such/folder/x.journal", r"`storage` is 'no/such/folder/x.journal', which cannot be "),
        ("oracl://host/x", r"`storage` is 'oracl://host/x', which cannot be opened: .*oracl"),
        ("mysql+nodriver://host/x", r"`storage` is 'mysql\+nodriver://host/x', which cannot"),
        ("postgresql://host:port/x", r"`storage` is 'postgresql://host:port/x'; allowed are"),
        ("sqlite://", r"`storage` is 'sqlite://', in memory, where no other process sees it"),
        ("sqlite:///:memory:", r"`storage` is 'sqlite:///:memory:', in memory, where no other"),
    ],
)
def test_an_address_that_cannot_be_opened(
    address: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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
    with database_of(open_storage(address)).engine.begin() as connection:
        connection.execute(text("UPDATE version_info SET schema_version = 999"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'v99.9'"))
    with pytest.raises(ValueError, match=r"which cannot be opened: .*version"):
        open_storage(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:s3cret@host:5432/nas", "postgresql://ann:***@host:5432/nas"),
        ("mysql+pymysql://ann:s3cret@host/nas", "mysql+pymysql://ann:***@host/nas"),
        ("postgresql://ann:s3c:r/et@host/nas", "postgresql://ann:***@host/nas"),
        ("postgresql://ann:s3cret%40x@host/nas", "postgresql://ann:***@host/nas"),
        ("postgresql://:s3cret@host/nas", "postgresql://:***@host/nas"),
        ("postgresql://host/nas?user=ann&password=s3cret&a=1", None),
        ("postgresql://ann:s3cret@host:port/nas", "postgresql://ann:***@host:port/nas"),
        ("postgresql:/ann:s3cret@host/nas", "postgresql:***@host/nas"),
        ("ann:s3cret@host/nas", "ann:***@host/nas"),
    ],
)
def test_the_password_is_never_shown(address: str, shown: str | None) -> None:
    expected = shown or "postgresql://host/nas?user=ann&password=***&a=1"
    assert public_address(address) == expected
    with pytest.raises(ValueError, match="`storage` is") as error:
        open_storage(address)  # no such driver here, or malformed
    assert "s3c" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


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
