"""A journal in Redis that waits for a server that is away for a while.

It is the journal that :class:`optuna.storages.journal.JournalRedisBackend` keeps, under the same
keys, so both read what the other wrote.

*Departures* from Optuna's

1. There are no snapshots: those are pickles, and nothing from a storage is unpickled. Instead
   entries are read a thousand at a time.
2. A server that restarts is waited for. An entry whose answer was lost with the connection is sent
   again, and the server, which remembers the number of each writer's last one, does not add it
   twice.
3. An entry that is no record is an error, unless it is the last one: Optuna passes over that one,
   and could read nothing any more once another was behind it. It is moved aside before.
4. A server that restarted with less than it had before, because it does not keep its data, is an
   error. Else the worker would go on with trials that nobody else ever sees.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator
from typing import Any

import optuna
import redis
from optuna.exceptions import StorageInternalError
from optuna.storages.journal import BaseJournalBackend
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, ReadOnlyError, TimeoutError
from redis.retry import Retry

from optuna_nas._lines import read_line
from optuna_nas.storages.patience import Patience

__all__ = ["RedisJournal", "is_away"]

_LAST = ":log_number"
_ENTRY = ":log:{}"
_WRITER = ":writer:{}"
_TORN = ":torn:{}"

_MOVE_ASIDE = f"""
local name = string.format('{_ENTRY.format("%d")}', ARGV[1])
if redis.call('get', '{_LAST}') ~= ARGV[1] or redis.call('get', name) ~= ARGV[2] then return end
redis.call('rename', name, string.format('{_TORN.format("%d")}', ARGV[1]))
redis.call('decr', '{_LAST}')
"""
"""Arguments: the number of an entry and what it is; nothing happens if it is not the last one."""

_APPEND = f"""
if redis.call('get', KEYS[1]) == ARGV[1] then return end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('setnx', '{_LAST}', -1)
for i = 3, #ARGV do
    local number = redis.call('incr', '{_LAST}')
    redis.call('set', string.format('{_ENTRY.format("%d")}', number), ARGV[i])
end
"""
"""Keys: the writer. Arguments: the number of this write, how many seconds it is remembered, and
the entries. Redis does all of a script, or, if it has no memory left, nothing."""

_logger = optuna.logging.get_logger("optuna_nas")

_REMEMBERED_SECONDS = 3600
_READ_AT_ONCE = 1000


class _MissingEntry(StorageInternalError):
    """An entry that is not there, perhaps not yet."""


def is_away(error: Exception) -> bool:
    """Whether an error may be gone when the server is back, or another one has taken its place."""
    if isinstance(error, AuthenticationError):  # a kind of `ConnectionError`
        return False
    return isinstance(error, (ConnectionError, TimeoutError, ReadOnlyError, _MissingEntry))


class RedisJournal(BaseJournalBackend):
    """A journal in Redis.

    Args:
        url: The address of the server, as the client reads it.
        patience: How many seconds a server that is away is waited for.

    Raises:
        redis.exceptions.RedisError: The server cannot be reached now.
        TypeError: The address has an option that the client does not know.
        ValueError: The address is malformed.
    """

    def __init__(self, url: str, *, patience: float) -> None:
        self._url = url
        self._seconds = patience
        self._connect()
        self._redis.ping()

    def _connect(self) -> None:
        # One more attempt at once is for connections that the server closed since they were used.
        retry = Retry(NoBackoff(), 1)
        self._redis: Any = redis.Redis.from_url(self._url, retry=retry)
        self._patiently = Patience(self._seconds, is_away)
        self._writer = _WRITER.format(uuid.uuid4().hex)
        self._writes = 0
        self._torn: tuple[int, bytes] | None = None  # the last entry, if it is no record

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Read the entries from one on.

        Raises:
            StorageInternalError: The server has lost entries.
        """
        end = self._patiently(self._length)
        if end < log_number_from:
            raise StorageInternalError(
                f"Redis has lost {log_number_from - end} entries of the journal. It has to keep "
                "its data when it restarts (appendonly yes)"
            )
        self._torn = None
        for start in range(log_number_from, end, _READ_AT_ONCE):
            numbers = range(start, min(start + _READ_AT_ONCE, end))
            entries = self._patiently(lambda: self._entries(numbers))  # noqa: B023
            for number, entry in zip(numbers, entries, strict=True):
                try:
                    record = read_line(entry)
                except ValueError as error:
                    if number + 1 < end:
                        raise StorageInternalError(
                            f"Entry {number} of the journal in Redis is damaged ({error})"
                        ) from None
                    self._torn = (number, entry)
                    return
                yield record

    def _length(self) -> int:
        last = self._redis.get(_LAST)
        return 0 if last is None else int(last) + 1

    def _entries(self, numbers: range) -> list[bytes]:
        found: list[bytes | None] = self._redis.mget([_ENTRY.format(n) for n in numbers])
        entries = [entry for entry in found if entry is not None]
        if len(entries) < len(found):
            raise _MissingEntry(
                f"Entry {numbers[found.index(None)]} of the journal is not in Redis. It must not "
                "evict keys (maxmemory-policy noeviction)"
            )
        return entries

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, each exactly once."""
        if self._torn is not None:
            number, entry = self._torn
            _logger.warning(f"Entry {number} of the journal in Redis is no record: moved aside.")
            self._patiently(lambda: self._redis.eval(_MOVE_ASIDE, 0, number, entry))
            self._torn = None
        self._writes += 1
        entries = map(json.dumps, logs)
        arguments = [self._writer, self._writes, _REMEMBERED_SECONDS, *entries]
        self._patiently(lambda: self._redis.eval(_APPEND, 1, *arguments))

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_seconds": self._seconds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()
