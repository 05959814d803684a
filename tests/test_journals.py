"""Journals that were not written to their end, or are damaged, in files and in Redis."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial

from benchmarks.servers import RedisServer
from optuna_nas._lines import read_line, sealed_line
from optuna_nas._locks import boot
from optuna_nas.storages import journal_lock as locking
from optuna_nas.storages import open_storage
from optuna_nas.storages.file_journal import FileJournal
from optuna_nas.storages.journal_lock import journal_lock
from optuna_nas.storages.redis_journal import RedisJournal
from tests.servers import SharedServers


def objective(trial: optuna.Trial) -> float:
    trial.set_user_attr("note", 'half {"op_code": 5, a \u2603')
    return trial.suggest_float("x", 0, 1)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal that both wrote, whose last writer was ours."""
    path = tmp_path / "study.journal"
    for storage in (plain(path), open_storage(str(path))):
        study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
        study.optimize(objective, n_trials=3)
    return path


def plain(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))


def trials(storage: Any) -> list[FrozenTrial]:
    return optuna.load_study(study_name="s", storage=storage).trials


def ours(path: Path) -> list[FrozenTrial]:
    return trials(open_storage(str(path)))


def go_on(path: Path) -> None:
    optuna.load_study(study_name="s", storage=open_storage(str(path))).optimize(
        objective, n_trials=1
    )


def line_starts(content: bytes) -> list[int]:
    return [0, *(i + 1 for i, byte in enumerate(content[:-1]) if byte == ord("\n"))]


@pytest.mark.parametrize("left", [1, 5, 30, -1, -2, -40])
@pytest.mark.parametrize("end", [b"", b"\0" * 700])
def test_a_torn_last_line_costs_that_line_and_nothing_else(
    journal: Path, left: int, end: bytes
) -> None:
    content = journal.read_bytes()
    cut = line_starts(content)[-1] + left if left > 0 else len(content) + left
    journal.write_bytes(content[:cut] + end)
    before = trials(plain(journal))
    assert ours(journal) == before and len(before) == 6
    journal.chmod(0o444)
    assert ours(journal) == before  # reading changes nothing
    assert journal.read_bytes() == content[:cut] + end
    journal.chmod(0o644)
    go_on(journal)
    after = trials(plain(journal))
    assert after == ours(journal) and len(after) == 7
    kept = 6 if left == -1 and not end else 5  # of the last line only its end was missing
    assert after[:kept] == trials(plain_copy(journal, content))[:kept]
    torn = journal.with_name("study.journal.torn")
    assert torn.exists() == (kept == 5)
    optuna.load_study(study_name="s", storage=plain(journal)).optimize(objective, n_trials=1)
    assert len(ours(journal)) == 8


def plain_copy(journal: Path, content: bytes) -> JournalStorage:
    copy = journal.with_name("copy.journal")
    copy.write_bytes(content)
    return plain(copy)


@pytest.mark.parametrize("left", [1, 5, 30, -1, -2, -40])
@pytest.mark.parametrize("lines", [1, 3])
def test_what_an_older_version_joined_to_a_torn_line_is_read(
    journal: Path, left: int, lines: int
) -> None:
    """It told its worker that the joined lines are written, so none of them is lost."""
    content = journal.read_bytes()
    cut = line_starts(content)[-1] + left if left > 0 else len(content) + left
    more = [
        b'{"op_code":2,"worker_id":"w","study_id":0,"user_attr":{"a%d":{"op_code":1}}}\n' % i
        for i in range(lines)
    ]
    journal.write_bytes(content[:cut] + b"".join(more))
    study = optuna.load_study(study_name="s", storage=open_storage(str(journal)))
    before = study.trials
    attributes = {f"a{i}": {"op_code": 1} for i in range(lines)}
    assert study.user_attrs == attributes
    assert before == trials(plain_copy(journal, content if left == -1 else content[:cut]))
    other = optuna.load_study(study_name="s", storage=open_storage(str(journal)))
    go_on(journal)
    assert study.user_attrs == attributes  # also of who has read it before it was mended
    assert other.trials == study.trials == trials(plain(journal))
    assert study.trials[: len(before) - 1] == before[:-1]


def test_a_worker_that_has_read_the_joined_lines_goes_on_after_they_moved(journal: Path) -> None:
    whole = journal.read_bytes()[:-1]
    more = b'{"op_code":2,"worker_id":"w","study_id":0,"user_attr":{"a":1}}\n'
    journal.write_bytes(whole + more * 2)
    reader = FileJournal(journal)
    records = list(reader.read_logs(0))
    FileJournal(journal).append_logs([{"n": 1}])  # puts the missing end of a line in
    assert list(reader.read_logs(len(records))) == [{"n": 1}]
    assert list(reader.read_logs(0)) == [*records, {"n": 1}]
    assert len(list(JournalFileBackend(str(journal)).read_logs(0))) == len(records) + 1


def test_damage_in_the_middle_is_told_and_nothing_is_guessed(journal: Path) -> None:
    content = journal.read_bytes()
    starts = line_starts(content)
    generator = random.Random(0)
    values = [trial.value for trial in ours(journal)]
    first = next(s for s in starts if b'"crc32"' in content[s:].split(b"\n")[0])
    detected = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(first, starts[-1])] ^= 1 << generator.randrange(8)
        journal.write_bytes(damaged)
        try:
            found = [trial.value for trial in ours(journal)]
        except ValueError as error:
            assert "cannot be opened: Line " in str(error) and " is damaged" in str(error)
            detected += 1
            with pytest.raises(StorageInternalError, match="damaged"):
                FileJournal(journal).append_logs([{"n": 1}])
            assert journal.read_bytes() == damaged
        else:
            assert found == values
    assert detected > 40
    for start in (starts[2] + 5, starts[-3]):
        zeroed = content[:start] + b"\0" * 512 + content[start + 512 :]
        journal.write_bytes(zeroed)
        with suppress(ValueError):  # at the end it is what was not written to its end
            found = [trial.value for trial in ours(journal)]
            assert all(a in (b, None) for a, b in zip(found, values, strict=False))


def test_a_full_disk_fails_one_write_and_leaves_a_sound_file(journal: Path) -> None:
    """A limit of the file's size is met in the middle of a line, as a full disk is."""
    program = """
import resource, sys, optuna
from optuna_nas.storages import open_storage
study = optuna.load_study(study_name="s", storage=open_storage("study.journal"))
limit = len(open("study.journal", "rb").read()) + 50
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    study.set_user_attr("a", 1)
except optuna.exceptions.StorageInternalError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
study.set_user_attr("b", 2)
print(study.user_attrs)
"""
    before = journal.read_bytes()
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=journal.parent, capture_output=True, text=True
    )
    assert ran.stdout.splitlines()[-1] == "{'b': 2}", ran
    assert "study.journal cannot be written" in ran.stdout
    assert journal.read_bytes().startswith(before)
    assert optuna.load_study(study_name="s", storage=plain(journal)).user_attrs == {"b": 2}
    assert sorted(p.name for p in journal.parent.iterdir()) == ["study.journal"]


def hold(path: Path) -> None:
    with journal_lock(path):
        path.with_name("held").touch()
        time.sleep(60)


@pytest.mark.skipif(not boot(), reason="The kernel tells which locks are left on Linux.")
def test_the_lock_of_a_killed_writer_holds_nobody_up(journal: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(journal,))
    process.start()
    held, lock = journal.with_name("held"), journal.with_name("study.journal.lock")
    while not held.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    assert lock.exists()
    process.kill()
    process.join()
    assert lock.exists()
    started = time.monotonic()
    go_on(journal)
    assert time.monotonic() - started < 5
    assert not lock.exists()


def test_writers_of_both_kinds_take_turns(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = JournalFileSymlinkLock(str(journal))
    with journal_lock(journal), pytest.raises(FileExistsError):
        Path(f"{journal}.lock").symlink_to(journal)
    theirs.acquire()
    monkeypatch.setattr(locking, "_GRACE_SECONDS", 0.5)
    started = time.monotonic()
    with journal_lock(journal):  # not before it has stayed the same for so long
        assert time.monotonic() - started > 0.5
        assert not journal.with_name("study.journal.lock").is_symlink()
    assert not journal.with_name("study.journal.lock").exists()


def test_a_lock_that_was_broken_is_not_taken_from_its_next_holder(journal: Path) -> None:
    lock = journal.with_name("study.journal.lock")
    with journal_lock(journal):
        lock.unlink()
        lock.write_text("somebody else's")
    assert lock.read_text() == "somebody else's"


def test_lines_and_their_checksums() -> None:
    for record in ({"a": 1}, {"a": "\u2603", "b": [None, float("inf")]}, {"crc32": "00000000"}):
        line = sealed_line(record)
        assert line.count(b"\n") == 1 and line.endswith(b"\n")
        assert read_line(line) == read_line(b"   " + line) == record
        for i in range(len(line) - 1):
            for bit in range(8):
                damaged = bytearray(line)
                damaged[i] ^= 1 << bit
                with suppress(ValueError):
                    found = read_line(bytes(damaged))
                    found.pop("crc32", 0)  # the seal itself is damaged, and so no seal
                    assert {k: v for k, v in found.items() if k in record} == {
                        k: v for k, v in record.items() if k != "crc32"
                    }
    with pytest.raises(ValueError, match="holds a list"):
        read_line(b"[]")


@pytest.fixture
def redis(shared_servers: SharedServers) -> RedisServer:
    shared = shared_servers.server("redis")
    assert isinstance(shared, RedisServer)
    return shared


def test_an_entry_in_redis_that_is_no_record(redis: RedisServer) -> None:
    address = redis.database("studies")
    journal = RedisJournal(address, patience=1)
    journal.append_logs([{"n": n} for n in range(3)])
    client = redis.client(address)
    client.set(":log:2", b'{"n"')
    assert list(journal.read_logs(0)) == [{"n": 0}, {"n": 1}]  # the last one, as Optuna does
    journal.append_logs([{"n": 3}])
    assert list(journal.read_logs(0)) == [{"n": 0}, {"n": 1}, {"n": 3}]
    assert client.get(":torn:2") == b'{"n"'
    client.set(":log:1", b"[1]")
    with pytest.raises(StorageInternalError, match="Entry 1 of the journal in Redis is damaged"):
        list(journal.read_logs(0))
