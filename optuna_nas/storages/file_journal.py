"""A journal in a file that survives full disks, power cuts and damage.

It is the journal that :class:`optuna.storages.journal.JournalFileBackend` keeps, a line for each
operation, so both read what the other wrote, and both may write at the same time.

What is told to be written is on the disk. What a crash leaves behind it was never told to anyone:

1. The file ends in half a line, or in zeros. Optuna does not read it, and its next line is joined
   to it, which makes the whole file unreadable. Here it is cut off before anything is appended.
2. It was joined already, by a version that did not do so: the half is blanked.
3. The last line is whole and only its end is missing: it is added.

All of that happens while the lock is held. What is cut goes to `<journal>.torn`, and the user is
told. Reading changes nothing, but sees the same records. A write that fails, because the disk is
full, takes back what it has written.

Each line carries a checksum, which Optuna passes over. A line that is damaged is an error and not
passed over: all that follows counts on it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages.journal import BaseJournalBackend

from optuna_nas._lines import read_line, sealed_line
from optuna_nas.artifacts.atomic import sync_folder
from optuna_nas.storages.journal_lock import journal_lock
from optuna_nas.storages.torn_lines import Mended, mend, mend_line

__all__ = ["FileJournal"]

_logger = optuna.logging.get_logger("optuna_nas")


class FileJournal(BaseJournalBackend):
    """A journal in a file.

    Args:
        path: The file; it is made if it is not there.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._starts = {0: 0}  # where a line begins, by the number of its first record
        self._torn: set[int] = set()  # where lines begin that have to be mended
        if not self._path.exists():
            self._path.open("ab").close()
            sync_folder(self._path.parent)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Read the records from one on.

        Raises:
            StorageInternalError: A line is damaged, or the file cannot be read.
        """
        number = log_number_from
        try:
            for record in self._read(number):
                yield record
                number += 1
        except _DamagedLine:
            # Perhaps what was read before has been mended meanwhile, and lies elsewhere now.
            self._starts = {0: 0}
            self._torn.clear()
            yield from self._read(number)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, all or none, and wait until they are on the disk.

        Raises:
            StorageInternalError: They cannot be written; the file is then as it was.
        """
        content = b"".join(map(sealed_line, logs))
        try:
            with journal_lock(self._path), self._path.open("r+b", buffering=0) as file:
                self._mend(file)
                _append(file, content)
        except OSError as error:
            raise StorageInternalError(f"{self._path} cannot be written: {error}") from error

    def _read(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        number = log_number_from if log_number_from in self._starts else 0
        place = self._starts[number]
        with self._path.open("rb") as file:
            file.seek(place)
            damaged = False
            for line in file:
                if damaged:
                    raise _DamagedLine(self._damage(place))
                if not line.endswith(b"\n"):
                    break  # being written, or torn
                try:
                    records = [read_line(line)]
                except ValueError:
                    self._torn.add(place)
                    records = _records(line)
                    if not records:
                        damaged = True  # no harm, if nothing follows
                        continue
                for record in records:
                    if number >= log_number_from:
                        yield record
                    number += 1
                place += len(line)
                self._starts[number] = place
        if number < log_number_from:
            raise StorageInternalError(
                f"The journal {str(self._path)!r} has lost {log_number_from - number} records"
            )

    def _damage(self, place: int) -> str:
        with self._path.open("rb") as file:
            line = file.read(place).count(b"\n") + 1
        return (
            f"Line {line} of the journal {str(self._path)!r} is damaged. What follows it counts "
            "on it, so that nothing is guessed: take a copy of the file from before, or cut it "
            "before that line to go on from there"
        )

    def _mend(self, file: BinaryIO) -> None:
        """Put the end of the file, behind what was read and is sound, in order for appending."""
        start = min((max(self._starts.values()), *self._torn))
        file.seek(start)
        end = mend(file.read())
        if end is None:
            raise StorageInternalError(self._damage(start))
        self._torn.clear()
        if not end.changed:
            return
        self._keep(end)
        file.seek(start + end.first)
        _write(file, end.content)
        file.truncate()
        os.fsync(file.fileno())
        self._starts = {n: place for n, place in self._starts.items() if place <= start}

    def _keep(self, end: Mended) -> None:
        """Keep a copy of what is cut, and say so."""
        if not end.cut:
            return
        torn = self._path.with_name(f"{self._path.name}.torn")
        with torn.open("ab") as file:
            file.write(end.cut.rstrip(b"\n") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _logger.warning(
            f"The journal {str(self._path)!r} has a line that was not written to its end, as by "
            f"a full disk or a power cut. It is cut, the journal goes on; a copy is in {torn.name}"
        )


class _DamagedLine(StorageInternalError):
    """A line in the middle of the file that is no record, and holds none."""


def _records(line: bytes) -> list[dict[str, Any]]:
    """The records in a line that holds something unfinished as well; none if it is damaged."""
    return [read_line(part) for part in (mend_line(line) or b"").split(b"\n")[:-1]]


def _append(file: BinaryIO, content: bytes) -> None:
    start = file.seek(0, os.SEEK_END)
    try:
        _write(file, content)
        os.fsync(file.fileno())
    except BaseException:
        file.truncate(start)
        raise


def _write(file: BinaryIO, content: bytes) -> None:
    """Write all of it, which a file without a buffer need not do at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
