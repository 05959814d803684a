"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from optuna_nas.artifacts.temporary import sweep, temporary_name

__all__ = ["is_stream", "sync_folder", "write_atomically", "write_output"]


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` through a synced temporary file in the same folder.

    Raises:
        OSError: If it cannot be written; what was at `path` is then untouched.
    """
    _make_folder(path.parent)
    temporary = path.with_name(temporary_name(path.name))
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_output(path: Path, content: bytes) -> None:
    """Put `content` where a user wants it: nothing but a file is ever replaced.

    A link stays one, and the file that it leads to is written. A device and a pipe, such as
    `/dev/stdout`, get the content.

    Raises:
        OSError: If it cannot be written, or is a folder or a disk.
    """
    if path.is_block_device():
        raise OSError(f"{str(path)!r} is a disk; needed is a file name.")
    descriptor = _standard_stream(path)
    if descriptor is not None:  # perhaps a file of the shell's, which knows its place in it
        _write_all(descriptor, content)
        return
    if is_stream(path):
        with path.open("wb", buffering=0) as file:
            _write_all(file.fileno(), content)
        return
    target = Path(os.path.realpath(path))
    sweep(target.parent, target.name)
    write_atomically(target, content)


def is_stream(path: Path) -> bool:
    """Whether what is written to a path goes on to somebody: a device, a pipe, stdout itself."""
    there = path.exists() and not path.is_dir()
    return there and (not path.is_file() or _standard_stream(path) is not None)


def sync_folder(folder: Path) -> None:
    """Have what was made, renamed or removed in a folder on the disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and a rename needs no sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder and those it is in, so that they survive a power cut too."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def _standard_stream(path: Path) -> int | None:
    """Which of stdout and stderr is open at a path, as `/dev/stdout` is."""
    for descriptor in (1, 2):
        with suppress(OSError):  # closed, or nothing is there
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
    return None


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
